// Search: every box and frame of a view by its text, its module, its file and its name in printed stages.

const MOST_HITS = 100;

/** All that can be found in a view, each with its text in lower case. */
function searchIndex(record, model) {
    const of = (node) => {
        const { label, type, where, module, names } = record.nodes[node] ?? {};
        return [label, type, where, module, ...Object.values(names ?? {})];
    };
    const boxes = model.boxes.map((box, i) => {
        const nodes = box.nodes ?? [];
        const words = [...(box.lines ?? []), ...(box.tooltip ?? []), ...nodes.flatMap(of)];
        const { module, where } = record.nodes[nodes.at(-1)] ?? {};
        return {
            id: `n${i}`,
            title: boxLabel(box),
            note: [module, where].filter(Boolean).join(" · "),
            kind: box.kind,
            words,
        };
    });
    const frames = model.frames.map((frame, i) => ({
        id: `f${i}`,
        title: frame.title,
        note: frame.contents ?? "",
        kind: frame.kind,
        words: [frame.title, ...(frame.tooltip ?? [])],
    }));
    return [...frames, ...boxes].map(({ words, ...rest }) => ({
        ...rest,
        head: rest.title.toLowerCase(),
        text: words.filter(Boolean).join("\n").toLowerCase(),
    }));
}

/** Hits from the best on: those that begin with what is asked for, those that have it in their title, the rest. */
function hitsOf(index, asked) {
    const words = asked.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const ranked = [[], [], []];
    for (const each of index) {
        if (!words.every((word) => each.text.includes(word) || each.head.includes(word))) continue;
        ranked[each.head.startsWith(words[0]) ? 0 : each.head.includes(words[0]) ? 1 : 2].push(each);
    }
    return ranked.flat();
}

function searchBox(input, list, app) {
    let hits = [];
    let at = -1;
    const close = () => {
        list.hidden = true;
        at = -1;
        input.setAttribute("aria-expanded", "false");
        input.removeAttribute("aria-activedescendant");
    };
    const point = (i) => {
        at = i;
        [...list.querySelectorAll("[role=option]")].forEach((item, k) => {
            item.setAttribute("aria-selected", String(k === i));
            if (k === i) item.scrollIntoView({ block: "nearest" });
        });
        input.setAttribute("aria-activedescendant", `hit${i}`);
    };
    const take = (hit) => {
        close();
        input.blur();
        app.goTo(hit.id);
    };
    const ask = () => {
        const asked = input.value.trim();
        if (!asked || !app.current?.model) return close();
        app.current.index ??= searchIndex(app.record, app.current.model);
        const all = hitsOf(app.current.index, asked);
        hits = all.slice(0, MOST_HITS);
        const items = hits.map((hit, i) =>
            element(
                "li",
                {
                    role: "option",
                    id: `hit${i}`,
                    "aria-selected": "false",
                    onpointerdown: (event) => event.preventDefault(),
                    onclick: () => take(hit),
                },
                element("span", { class: `dot ${classOf(hit.kind)}` }),
                element("b", {}, hit.title),
                element("span", { class: "soft" }, hit.note),
            ),
        );
        const rest = all.length - hits.length;
        const last =
            all.length === 0
                ? `Nothing in ${app.current.view.title} matches.`
                : rest > 0
                  ? `… and ${counted(rest, "more", "more")}`
                  : null;
        list.replaceChildren(...items, ...(last ? [element("li", { class: "soft", role: "presentation" }, last)] : []));
        list.hidden = false;
        input.setAttribute("aria-expanded", "true");
        if (hits.length) point(0);
    };
    input.addEventListener("input", ask);
    input.addEventListener("focus", () => input.value && ask());
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
        if (event.key === "Escape") {
            if (list.hidden) input.blur();
            else close();
        } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            if (list.hidden) ask();
            else if (hits.length) point((at + (event.key === "ArrowDown" ? 1 : hits.length - 1)) % hits.length);
        } else if (event.key === "Enter" && !list.hidden && hits[at]) {
            take(hits[at]);
        } else {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
    });
}
