"""The Python client of Etude: `from etude import Client`."""

from etude.client import Client
from etude.datasets import Dataset
from etude.errors import EtudeError, JobCancelled, JobFailed, NotConfigured, Refused, Unreachable
from etude.jobs import Job

__version__ = "0.1.0"
__all__ = [
    "Client",
    "Dataset",
    "EtudeError",
    "Job",
    "JobCancelled",
    "JobFailed",
    "NotConfigured",
    "Refused",
    "Unreachable",
    "__version__",
]
