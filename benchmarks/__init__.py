"""What a deploy costs beside the same work by hand, as ratios from one interleaved run. See README.md."""
