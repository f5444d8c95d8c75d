"""The application. ``flask --app gallery.app run`` from this folder's parent, or ``make serve``."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from flask import Flask, abort, g, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_caching import Cache, dashboard

from gallery.folder import folder
from gallery.painting import Painting, paint, painted, painting

ROOMS = {
    "dendrite": 0 + 1j,
    "rabbit": -0.123 + 0.745j,
    "dragon": -0.8 + 0.156j,
    "san-marco": -0.75 + 0j,
    "spirals": 0.285 + 0.01j,
    "siegel": -0.391 - 0.587j,
}

app = Flask(__name__)
# One cache for all workers of the server.
cache = Cache(app, config={"CACHE_TYPE": "SharedCache", "CACHE_DIR": folder() / "cache"})


def is_local() -> bool:
    """Whether somebody on this machine asks, and by its own name: any other may be one that another
    site makes lead here."""
    host = request.host.partition(":")[0]
    return request.remote_addr == "127.0.0.1" and host in ("127.0.0.1", "localhost")


app.register_blueprint(
    dashboard.blueprint(cache, authorize=is_local, show_values=True), url_prefix="/_cache"
)


@app.before_request
def begin() -> None:
    """A page knows what it cost."""
    g.began = time.time()


@app.context_processor
def times() -> dict[str, Any]:
    """Every page says when it was rendered, and each of its parts what it cost."""
    return {"now": datetime.now().strftime("%H:%M:%S.%f")[:-3], "clock": time.time}


@cache.memoize(timeout=300)
def picture(c: complex, width: int = 240, height: int = 160) -> Painting:
    """The picture of ``c``: painted once for each size, whichever page asks."""
    return painting(c, width, height)


@app.get("/")
@cache.cached(timeout=300, response_hit_indication=True)
def cover() -> str:
    """A whole page, cached under its path."""
    return render_template("cover.html", rooms=ROOMS, image=paint(-0.7269 + 0.1889j, 420, 220))


@app.get("/rooms/<name>")
def room(name: str) -> str:
    """A page that is rendered each time around a function that is memoized."""
    if name not in ROOMS:
        abort(404)
    return render_template("room.html", name=name, c=ROOMS[name], picture=picture(ROOMS[name]))


@app.post("/rooms/<name>/repaint")
def repaint(name: str) -> ResponseReturnValue:
    """Forget one picture; those of the other rooms stay."""
    if name not in ROOMS:
        abort(404)
    cache.delete_memoized(picture, ROOMS[name])
    return redirect(url_for("room", name=name))


@app.get("/detail")
@cache.cached(timeout=300, query_string=True, response_hit_indication=True)
def detail() -> str:
    """One entry for each query string, in whatever order its parameters come."""
    x = request.args.get("x", 0.0, type=float)
    y = request.args.get("y", 0.0, type=float)
    zoom = request.args.get("zoom", 1.0, type=float)
    image = paint(ROOMS["dragon"], 240, 160, centre=complex(x, y), zoom=zoom)
    return render_template("detail.html", x=x, y=y, zoom=zoom, image=image)


@app.get("/guestbook")
def guestbook() -> str:
    """A page that greets each visitor anew, with a slow part that is cached in the template."""
    # Counted once, whichever worker a visitor comes to.
    visitor = cache.inc("visitors")
    return render_template("guestbook.html", visitor=visitor, rooms=ROOMS, paint=paint)


@app.get("/api/rooms")
@cache.cached(timeout=300, response_hit_indication=True)
def rooms() -> ResponseReturnValue:
    """JSON, cached as a response with its headers."""
    thumbnails = {name: paint(c, 60, 40) for name, c in ROOMS.items()}
    cost = time.time() - g.began
    return jsonify(rooms=thumbnails, rendered=datetime.now().isoformat(), cost=cost)


@app.get("/uncached")
def uncached() -> str:
    """The same work without a cache, to compare with."""
    new = painting(ROOMS["rabbit"], 240, 160)
    return render_template("room.html", name="rabbit", c=ROOMS["rabbit"], picture=new)


@app.get("/painted")
def painted_so_far() -> ResponseReturnValue:
    """How many pictures were painted since the start; the tour tells hits from misses by it."""
    return jsonify(painted=painted())
