"""What a cloud stands on: store, blobs, bus, scheduler, runtime, policies, identities."""
