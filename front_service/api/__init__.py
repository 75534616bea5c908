"""HTTP: from requests to use cases, and from values to responses. No decision is made here."""
