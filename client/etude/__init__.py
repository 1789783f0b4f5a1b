"""The Python client of Etude: `from etude import Client`."""

from etude.client import Client
from etude.composing import Composition
from etude.datasets import Dataset
from etude.errors import EtudeError, JobCancelled, JobFailed, NotConfigured, NotFound, Refused, Unreachable
from etude.jobs import Job
from etude.schedules import Schedule
from etude.version import VERSION
from etude.webhooks import Webhook

__version__ = VERSION
__all__ = [
    "Client",
    "Composition",
    "Dataset",
    "EtudeError",
    "Job",
    "JobCancelled",
    "JobFailed",
    "NotConfigured",
    "NotFound",
    "Refused",
    "Schedule",
    "Unreachable",
    "Webhook",
    "__version__",
]
