"""`make audit`: known vulnerabilities in what is locked."""
