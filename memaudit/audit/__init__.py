"""Does the model give training images back? Search, pairing, control, and what may be said of them."""

from memaudit.audit.engine import AuditOptions, audit

__all__ = ["AuditOptions", "audit"]
