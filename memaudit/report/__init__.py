"""Records become files: report.json, tables, pictures, one HTML page. Imports neither torch nor faiss."""
