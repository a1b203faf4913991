"""Findings and beliefs in words: traces, descriptions, wording."""
