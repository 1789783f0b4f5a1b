"""Places of large bodies: as many at once as there are threads for them, and not all of them one tenant's."""

import threading
from collections import Counter

from shared.errors import TooManyRequests, Unavailable

# In the WSGI environment: the place of a large body, which admission puts to the caller's account.
UPLOAD = "etude.upload"
# Of all places, those of one tenant: another one finds one.
TENANT_SHARE = 0.5


class Uploads:
    """At most `size` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._open, self._of_tenants = 0, Counter[str]()
        # The loop opens and closes places, threads know whose they are.
        self._changing = threading.Lock()

    def enter(self) -> "Upload":
        """Keep a place before anybody knows for whom. Raises Unavailable when there is none."""
        with self._changing:
            if self._open >= self._size:
                raise Unavailable("Too many uploads are under way: send this one again.")
            self._open += 1
        return Upload(self)

    def take(self, tenant: str) -> None:
        """Put a place to a tenant's account. Raises TooManyRequests when it has its share."""
        with self._changing:
            if self._of_tenants[tenant] >= max(1, int(self._size * TENANT_SHARE)):
                raise TooManyRequests("Too many of your uploads are under way: end one.", code="too_many_uploads")
            self._of_tenants[tenant] += 1

    def leave(self, tenant: str | None) -> None:
        with self._changing:
            self._open -= 1
            if tenant is None:
                return
            self._of_tenants[tenant] -= 1
            if not self._of_tenants[tenant]:
                del self._of_tenants[tenant]


class Upload:
    """One body that comes."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._tenant: str | None = None

    def take(self, tenant: str) -> None:
        """Raises TooManyRequests."""
        self._uploads.take(tenant)
        self._tenant = tenant

    def leave(self) -> None:
        self._uploads.leave(self._tenant)
