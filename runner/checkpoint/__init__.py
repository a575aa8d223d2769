"""What survives a crash: attempts and outcomes on disk, one shard a worker slot.

Writing     shard       begin, settle, record     committer  the group commit
            store       diskcache, one door       accounting what a record adds up to
            rescue      where a full disk leaves a reply
What it is  entries     attempts and outcomes     envelope   bytes and checksums
            history     an item's earlier attempts           manifest  what a run is
            anew        items to be asked anew    locks      who may work on it
Reading     reading     a run                     shard_reading  one shard
            undisturbed while sessions may begin  intake     rescued replies
            last_commit of a killed writer
Damage      walking     every row                 recounting the totals once more
            recovering  what can be read          pages      of a broken tree
            frames      behind a broken -wal

Floor: doors and rules. The one door to diskcache.
"""
