"""Pages that people read: HTML with pictures, in one file."""

from vocalbio.report.page import render_page

__all__ = ["render_page"]
