"""Pages that people read: HTML with pictures, in one file."""
