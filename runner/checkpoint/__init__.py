"""What survives a crash: attempts and outcomes on disk, one shard a worker slot."""
