"""Recommendation: from plays to a ranked list, judged beside simpler ones on what listeners played next."""
