"""The service's HTTP edge: routes, the JSON of calls and answers, and documents as they arrive."""
