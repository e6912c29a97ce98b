"""Why a job is not running, why it still runs, or why it ended as it did. Pure: facts in, gates out."""
