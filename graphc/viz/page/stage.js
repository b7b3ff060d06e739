// Where the drawing stands: moving it with the pointer, and growing it around a point.

const TRUE_SIZE = 4 / 3; // pixels to a point
const READABLE = 0.6;
const [SMALLEST, LARGEST] = [0.01, 12];
const CLICK = 4; // pixels that a click may move

function stageOf(place, onchange) {
    const at = { x: 0, y: 0, k: TRUE_SIZE };
    let drawing = null;

    const apply = () => {
        drawing?.moving.setAttribute("transform", `translate(${at.x} ${at.y}) scale(${at.k})`);
        onchange(at.k / TRUE_SIZE);
    };

    const put = (next) => {
        Object.assign(at, next);
        apply();
    };

    const zoom = (factor, x = place.clientWidth / 2, y = place.clientHeight / 2) => {
        const k = Math.min(LARGEST, Math.max(SMALLEST, at.k * factor));
        put({ k, x: x - ((x - at.x) * k) / at.k, y: y - ((y - at.y) * k) / at.k });
    };

    const middle = (k) => (place.clientWidth - drawing.width * k) / 2 - drawing.left * k;

    /** All of it, or at first as much of it as can be read, from the top. */
    const fit = (isFirst = false) => {
        if (!drawing) return;
        const [w, h] = [place.clientWidth - 32, place.clientHeight - 32];
        const whole = Math.min(TRUE_SIZE, w / drawing.width, h / drawing.height);
        if (!isFirst || whole >= READABLE * TRUE_SIZE) {
            const y = (place.clientHeight - drawing.height * whole) / 2 - drawing.top * whole;
            put({ k: Math.max(SMALLEST, whole), x: middle(whole), y });
            return;
        }
        const k = Math.min(TRUE_SIZE, Math.max(READABLE * TRUE_SIZE, w / drawing.width));
        const x = drawing.width * k <= w ? middle(k) : startX(k, w);
        const isTall = drawing.height * k > h;
        put({
            k,
            x,
            y: isTall ? 16 - drawing.top * k : (place.clientHeight - drawing.height * k) / 2 - drawing.top * k,
        });
    };

    /** Where a drawing that is too wide begins: at the middle of what is at its top, or else at its left. */
    const startX = (k, w) => {
        if (drawing.height < drawing.width / 4) return 16 - drawing.left * k;
        put({ k, x: 0, y: 0 });
        let best = null;
        for (const part of drawing.parts.values()) {
            if (!part.classList.contains("node")) continue;
            const box = placeOf(part);
            if (best === null || box.top < best.top) best = box;
        }
        if (best === null) return middle(k);
        const centre = best.left + best.width / 2 - place.getBoundingClientRect().left;
        const least = w + 16 - (drawing.left + drawing.width) * k;
        return Math.max(least, Math.min(16 - drawing.left * k, place.clientWidth / 2 - centre));
    };

    const move = (dx, dy) => put({ x: at.x + dx, y: at.y + dy });

    /** Brings a part to the middle of the stage, large enough to be read. */
    const centre = (part) => {
        if (at.k < READABLE * TRUE_SIZE) zoom((READABLE * TRUE_SIZE) / at.k);
        const [outer, inner] = [place.getBoundingClientRect(), placeOf(part)];
        const isHigh = inner.height > outer.height - 40;
        move(
            outer.left + outer.width / 2 - (inner.left + inner.width / 2),
            isHigh ? outer.top + 24 - inner.top : outer.top + outer.height / 2 - (inner.top + inner.height / 2),
        );
    };

    /** Brings a part into sight if it is not, by no more than that takes. */
    const reveal = (part) => {
        const [outer, inner] = [place.getBoundingClientRect(), placeOf(part)];
        const by = (low, high, from, to) => (low < from ? from - low : high > to ? Math.max(to - high, from - low) : 0);
        move(
            by(inner.left, inner.right, outer.left + 24, outer.right - 24),
            by(inner.top, inner.bottom, outer.top + 24, outer.bottom - 24),
        );
    };

    const pointers = new Map();
    let moved = 0;
    const local = (event) => {
        const box = place.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
    };
    place.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        if (pointers.size === 0) moved = 0;
        pointers.set(event.pointerId, local(event));
    });
    addEventListener("pointermove", (event) => {
        const before = pointers.get(event.pointerId);
        if (!before) return;
        const now = local(event);
        const others = [...pointers].filter(([id]) => id !== event.pointerId);
        moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
        if (moved > CLICK) place.classList.add("dragged");
        if (others.length && moved > 0) {
            const [ox, oy] = others[0][1];
            const span = ([x, y]) => Math.hypot(x - ox, y - oy);
            if (span(before) > 1) zoom(span(now) / span(before), (now[0] + ox) / 2, (now[1] + oy) / 2);
            move((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
        } else if (moved > CLICK) {
            move(now[0] - before[0], now[1] - before[1]);
        }
        pointers.set(event.pointerId, now);
    });
    const up = (event) => {
        pointers.delete(event.pointerId);
        place.classList.remove("dragged");
    };
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
    place.addEventListener(
        "wheel",
        (event) => {
            event.preventDefault();
            const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? place.clientHeight : 1;
            const by = Math.max(-240, Math.min(240, event.deltaY * unit));
            zoom(Math.exp(-by * (event.ctrlKey ? 0.01 : 0.0016)), ...local(event));
        },
        { passive: false },
    );

    let themeOnScreen = "light";
    addEventListener("beforeprint", () => {
        const root = document.documentElement.dataset;
        [themeOnScreen, root.theme] = [root.theme, "light"]; // paper is white
        if (!drawing) return;
        const { left, top, width, height } = drawing;
        drawing.moving.removeAttribute("transform");
        drawing.svg.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
    });
    addEventListener("afterprint", () => {
        document.documentElement.dataset.theme = themeOnScreen;
        drawing?.svg.removeAttribute("viewBox");
        apply();
    });

    return {
        at,
        zoom,
        fit,
        move,
        centre,
        reveal,
        put,
        trueSize: () => zoom(TRUE_SIZE / at.k),
        wasDragged: () => moved > CLICK,
        show(next, where = null) {
            drawing = next;
            place.replaceChildren(...(next ? [next.svg] : []));
            if (where) put(where);
        },
    };
}
