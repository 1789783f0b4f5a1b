// validatorUrl null: otherwise the page asks a service elsewhere whether our document is valid.
window.ui = SwaggerUIBundle({ url: "/v1/openapi.json", dom_id: "#ui", validatorUrl: null, deepLinking: true });
