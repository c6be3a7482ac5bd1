"""Does the model give training images back? Search, pairing, control, and what may be said of them."""

from memaudit.audit.engine import AuditOptions, Views, audit

__all__ = ["AuditOptions", "Views", "audit"]
