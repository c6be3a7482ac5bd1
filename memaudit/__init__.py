"""Memorization and regurgitation audit for image generators.

`import memaudit as ma` gives a function for each command; a name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.3.2"

if TYPE_CHECKING:
    from memaudit import errors
    from memaudit.api.auditing import FaceChoices, run_audit
    from memaudit.api.bundles import Bundle, KeyFiles, bundle, make_key, publish_bundle, sign_bundle
    from memaudit.api.calibrating import CalibrationRun, ProposedPairs, calibrate, propose_labels
    from memaudit.api.canaries import (
        Canaries,
        CanaryCheck,
        check_canaries,
        make_canaries,
        open_canaries,
        plant_canaries,
    )
    from memaudit.api.canary_keys import (
        CanaryKeys,
        KeyCheck,
        check_canary_keys,
        make_canary_keys,
        open_canary_keys,
        plant_canary_keys,
    )
    from memaudit.api.carding import Card, write_card
    from memaudit.api.claim_ledger import (
        ClaimState,
        Excluded,
        VerifiedClaims,
        delete_claims,
        exclude_claimed,
        list_claims,
        show_claims,
        verify_claims,
    )
    from memaudit.api.claims import ClaimRun, answer_claim, receive_claim
    from memaudit.api.comparing import Compared, compare
    from memaudit.api.costing import Machines, WorkPlan, plan_audit, plan_dedup, plan_embed, plan_index
    from memaudit.api.deduping import run_dedup
    from memaudit.api.encoders import doctor, fetch_encoder, list_encoders
    from memaudit.api.encoding import Encoding
    from memaudit.api.exporting import Export, export, kept
    from memaudit.api.extracting import run_extract
    from memaudit.api.facing import FaceStore, FaceSummary, find_faces, forget_faces, summarise_faces
    from memaudit.api.filtering import FilterRound, apply_filter, review_filter, train_filter
    from memaudit.api.findings import Findings
    from memaudit.api.gating import GateRun, run_gate, write_policy
    from memaudit.api.guarding import Guard, GuardServer, GuardVerdict, open_guard, open_guard_server
    from memaudit.api.history import History, history
    from memaudit.api.hosts import allow_hosts
    from memaudit.api.indexes import build_index, open_index
    from memaudit.api.inspecting import Description, Verification, describe, verify
    from memaudit.api.looking_up import LookupRun, run_lookup
    from memaudit.api.page_choices import PageChoices
    from memaudit.api.planning import SamplePlan, plan_sample
    from memaudit.api.prompting import Prompts, make_prompts
    from memaudit.api.releasing import ReleaseRun, plan_release, run_release
    from memaudit.api.review_page import ReviewPage, ReviewStatus, open_review, review_status
    from memaudit.api.reviewing import (
        MergedReviews,
        WrittenReviews,
        convert_reviews,
        merge_reviews,
        sample_findings,
    )
    from memaudit.api.reweighting import run_reweight
    from memaudit.api.runs import AuditRun, DedupRun, ExtractionRun, FilterRun, ReweightRun, open_report
    from memaudit.api.searching import SearchRun, run_search
    from memaudit.api.starting import start_release
    from memaudit.api.stores import MadeStore, embed, import_embeddings, merge_stores, open_store
    from memaudit.api.tables import Table

_HOMES = {
    "auditing": ("FaceChoices", "run_audit"),
    "bundles": ("Bundle", "KeyFiles", "bundle", "make_key", "publish_bundle", "sign_bundle"),
    "calibrating": ("CalibrationRun", "ProposedPairs", "calibrate", "propose_labels"),
    "canaries": (*("Canaries", "CanaryCheck", "check_canaries", "make_canaries", "open_canaries", "plant_canaries"),),
    "canary_keys": (
        *("CanaryKeys", "KeyCheck", "check_canary_keys", "make_canary_keys", "open_canary_keys", "plant_canary_keys"),
    ),
    "carding": ("Card", "write_card"),
    "claim_ledger": (
        *("ClaimState", "Excluded", "VerifiedClaims", "delete_claims", "exclude_claimed", "list_claims"),
        *("show_claims", "verify_claims"),
    ),
    "claims": ("ClaimRun", "answer_claim", "receive_claim"),
    "comparing": ("Compared", "compare"),
    "costing": ("Machines", "WorkPlan", "plan_audit", "plan_dedup", "plan_embed", "plan_index"),
    "deduping": ("run_dedup",),
    "encoders": ("doctor", "fetch_encoder", "list_encoders"),
    "encoding": ("Encoding",),
    "exporting": ("Export", "export", "kept"),
    "extracting": ("run_extract",),
    "facing": ("FaceStore", "FaceSummary", "find_faces", "forget_faces", "summarise_faces"),
    "filtering": ("FilterRound", "apply_filter", "review_filter", "train_filter"),
    "findings": ("Findings",),
    "gating": ("GateRun", "run_gate", "write_policy"),
    "guarding": ("Guard", "GuardServer", "GuardVerdict", "open_guard", "open_guard_server"),
    "history": ("History", "history"),
    "hosts": ("allow_hosts",),
    "indexes": ("build_index", "open_index"),
    "inspecting": ("Description", "Verification", "describe", "verify"),
    "looking_up": ("LookupRun", "run_lookup"),
    "page_choices": ("PageChoices",),
    "planning": ("SamplePlan", "plan_sample"),
    "prompting": ("Prompts", "make_prompts"),
    "releasing": ("ReleaseRun", "plan_release", "run_release"),
    "review_page": ("ReviewPage", "ReviewStatus", "open_review", "review_status"),
    "reviewing": ("MergedReviews", "WrittenReviews", "convert_reviews", "merge_reviews", "sample_findings"),
    "reweighting": ("run_reweight",),
    "runs": ("AuditRun", "DedupRun", "ExtractionRun", "FilterRun", "ReweightRun", "open_report"),
    "searching": ("SearchRun", "run_search"),
    "starting": ("start_release",),
    "stores": ("MadeStore", "embed", "import_embeddings", "merge_stores", "open_store"),
    "tables": ("Table",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AuditRun",
    "Bundle",
    "CalibrationRun",
    "Canaries",
    "CanaryCheck",
    "CanaryKeys",
    "Card",
    "ClaimRun",
    "ClaimState",
    "Compared",
    "DedupRun",
    "Description",
    "Encoding",
    "Excluded",
    "Export",
    "ExtractionRun",
    "FaceChoices",
    "FaceStore",
    "FaceSummary",
    "FilterRound",
    "FilterRun",
    "Findings",
    "GateRun",
    "Guard",
    "GuardServer",
    "GuardVerdict",
    "History",
    "KeyCheck",
    "KeyFiles",
    "LookupRun",
    "Machines",
    "MadeStore",
    "MergedReviews",
    "PageChoices",
    "Prompts",
    "ProposedPairs",
    "ReleaseRun",
    "ReviewPage",
    "ReviewStatus",
    "ReweightRun",
    "SamplePlan",
    "SearchRun",
    "Table",
    "Verification",
    "VerifiedClaims",
    "WorkPlan",
    "WrittenReviews",
    "allow_hosts",
    "answer_claim",
    "apply_filter",
    "build_index",
    "bundle",
    "calibrate",
    "check_canaries",
    "check_canary_keys",
    "compare",
    "convert_reviews",
    "delete_claims",
    "describe",
    "doctor",
    "embed",
    "errors",
    "exclude_claimed",
    "export",
    "fetch_encoder",
    "find_faces",
    "forget_faces",
    "history",
    "import_embeddings",
    "kept",
    "list_claims",
    "list_encoders",
    "make_canaries",
    "make_canary_keys",
    "make_key",
    "make_prompts",
    "merge_reviews",
    "open_canaries",
    "open_canary_keys",
    "merge_stores",
    "open_guard",
    "open_guard_server",
    "open_index",
    "open_report",
    "open_review",
    "open_store",
    "plan_audit",
    "plan_dedup",
    "plan_embed",
    "plan_index",
    "plan_release",
    "plan_sample",
    "plant_canaries",
    "plant_canary_keys",
    "propose_labels",
    "publish_bundle",
    "receive_claim",
    "review_filter",
    "review_status",
    "run_audit",
    "run_dedup",
    "run_extract",
    "run_gate",
    "run_lookup",
    "run_release",
    "run_reweight",
    "run_search",
    "sample_findings",
    "sign_bundle",
    "show_claims",
    "start_release",
    "summarise_faces",
    "train_filter",
    "verify",
    "write_card",
    "verify_claims",
    "write_policy",
]

if not TYPE_CHECKING:  # a type checker would take any name for one that is there

    def __getattr__(name: str) -> object:
        if name == "errors":
            return import_module("memaudit.errors")
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from memaudit.errors import explaining_imports

        with explaining_imports():
            found = getattr(import_module(f"memaudit.api.{_HOME[name]}"), name)
        from memaudit.api.arguments import checked

        return checked(found) if callable(found) and not isinstance(found, type) else found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
