"""What a run leaves behind for people and programs: summary.json, report.html and the table."""
