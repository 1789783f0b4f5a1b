"""The least that Flask can answer."""

from flask import Flask

app = Flask("empty")


@app.get("/")
def empty() -> str:
    return ""
