"""The gate's result for machines and people. What reports say in their own words is made harmless."""

from memaudit.gate.outputs.annotations import annotation_lines
from memaudit.gate.outputs.junit import junit
from memaudit.gate.outputs.markdown import markdown
from memaudit.gate.outputs.plain import plain
from memaudit.gate.outputs.sarif import sarif
from memaudit.gate.outputs.values import values

__all__ = ["annotation_lines", "junit", "markdown", "plain", "sarif", "values"]
