"""``Cache.page``: whole answers, by the rules of HTTP."""
