"""Policy + reports (+ baseline, + accepted matches) → verdict. Reads reports only: neither images nor torch nor faiss.

A rule passes, fails, or is inconclusive; a failure outweighs everything, and a pass needs every rule to pass.
"""

from memaudit.gate.accepted import Accepted, read_accepted
from memaudit.gate.comparison import Audited, Comparison, compare
from memaudit.gate.findings import Finding, blamed
from memaudit.gate.judging import GateResult, hold, judge
from memaudit.gate.ledger import Ledger, Look, open_ledger
from memaudit.gate.policy import (
    DEFAULT_POLICY,
    AuditPolicy,
    BaselinePolicy,
    DedupPolicy,
    FilterPolicy,
    GatePolicy,
    Policy,
    ReweightPolicy,
    read_policy,
)
from memaudit.gate.verdict import RuleResult, Verdict, numbered, verdict_of

__all__ = [
    "DEFAULT_POLICY",
    "Accepted",
    "AuditPolicy",
    "Audited",
    "BaselinePolicy",
    "Comparison",
    "DedupPolicy",
    "FilterPolicy",
    "Finding",
    "GatePolicy",
    "GateResult",
    "Ledger",
    "Look",
    "Policy",
    "ReweightPolicy",
    "RuleResult",
    "Verdict",
    "blamed",
    "compare",
    "hold",
    "judge",
    "numbered",
    "open_ledger",
    "read_accepted",
    "read_policy",
    "verdict_of",
]
