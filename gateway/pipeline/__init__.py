"""From a request to an entry: tiers, single flight, freshness, invalidation."""
