"""What one learns afterwards: scoring again, comparing, looking at data, explaining, studies."""
