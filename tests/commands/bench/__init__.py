"""`make bench`: what we cost, beside the plugin alone, the manual way, or a bare start, in the same run."""
