// The address: what is open and selected, so that a link leads back to it.

const ranges = (numbers) => {
    const parts = [];
    for (const i of [...numbers].sort((a, b) => a - b)) {
        const last = parts.at(-1);
        if (last && last[1] === i - 1) last[1] = i;
        else parts.push([i, i]);
    }
    return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
};

/** The numbers below `end` in a text like `3,5-9`; whatever is none is passed over. */
function numbersIn(text, end) {
    const found = new Set();
    for (const part of text.split(",")) {
        const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part.trim());
        if (!match) continue;
        const to = Math.min(Number(match[2] ?? match[1]), end - 1);
        for (let i = Number(match[1]); i <= to; i++) found.add(i);
    }
    return found;
}

function remember() {
    const { current, selection, overlay } = app;
    const pairs = [["view", current.view.name]];
    const { frame = null, main = null, box = null } = selection ?? {};
    if (frame !== null) pairs.push(["frame", frame]);
    else if (main !== null) pairs.push(["node", main]);
    else if (box !== null) pairs.push(["box", box]);
    if (current.model && !same(current.open, current.first)) pairs.push(["open", ranges(current.open)]);
    if (current.unfolded?.size) pairs.push(["unfold", ranges(current.unfolded)]);
    if (overlay) pairs.push(["overlay", overlay.name]);
    const text = pairs.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&");
    if (location.hash.slice(1) === text) return;
    try {
        history.replaceState(null, "", `#${text}`);
    } catch {
        // A page that may not change its address works all the same.
    }
}

/** Takes up the state that an address describes; what makes no sense in it is passed over. */
function restore() {
    const asked = new URLSearchParams(location.hash.slice(1));
    const number = (key, end) => {
        const [first = null] = numbersIn(asked.get(key) ?? "", end);
        return first;
    };
    const k = Math.max(
        0,
        views.findIndex((each) => each.view.name === (asked.get("view") ?? record.start)),
    );
    const each = views[k];
    setOverlay(asked.get("overlay"));
    if (each.model) {
        const { frames, boxes } = each.model;
        const open = asked.has("open") ? numbersIn(asked.get("open"), frames.length) : each.first;
        const unfolded = numbersIn(asked.get("unfold") ?? "", frames.length);
        if (!same(open, each.open) || !same(unfolded, each.unfolded))
            Object.assign(each, { open, unfolded, drawing: null });
        const [frame, box] = [number("frame", frames.length), number("box", boxes.length)];
        if (frame !== null) app.selection = { nodes: [], main: null, box: null, frame };
        else if (box !== null)
            app.selection = { nodes: boxes[box].nodes ?? [], main: boxes[box].nodes?.at(-1) ?? null, box, frame: null };
    }
    const node = number("node", record.nodes.length);
    if (node !== null) app.selection = { nodes: [node], main: node, box: null, frame: null };
    const kept = app.selection;
    app.current = null;
    app.openView(k);
    if (!kept) return;
    if (kept.frame !== null) app.selectFrame(kept.frame);
    else if (kept.main === null && kept.box !== null) app.selectBox(kept.box);
    showSelection(true);
}
