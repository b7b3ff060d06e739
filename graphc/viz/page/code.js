// Generated code: line numbers beside it, and bands over the lines that belong to what is selected.

const LINE = 18; // pixels, as in the style
const WORDS = {
    c:
        "if else for while do return static const void int long float double char unsigned size_t int64_t restrict " +
        "inline struct typedef switch case break continue define include pragma ifdef ifndef endif",
    python:
        "def return import from as if elif else for while in not and or is None True False class with pass lambda " +
        "yield try except raise",
};
const LONGEST_COLOURED = 400_000; // characters

function codePane(place, code) {
    let current = null;
    const lines = code.map((each) => each.text.split("\n").length);
    const tabs = element("div", { class: "tabs", role: "tablist", "aria-label": "Generated code" });
    const note = element("span", { class: "note" });
    const numbers = element("pre", { class: "numbers", "aria-hidden": "true" });
    const bands = element("div", { class: "bands" });
    const text = element("pre", { class: "text", tabindex: "0", "aria-label": "Code" });
    const scroll = element("div", { class: "scroll" }, numbers, element("div", { class: "sheet" }, bands, text));
    const next = link("next", () => goTo((shown + 1) % ranges.length), { hidden: true });
    place.append(element("div", { class: "head" }, tabs, note, next), scroll);
    let ranges = [];
    let shown = 0;
    let wanted = { nodes: [], kernel: null };
    const buttons = code.map((each, i) => {
        const tab = button(each.title, () => open(i), { role: "tab", "aria-selected": "false" });
        tabs.append(tab);
        return tab;
    });
    place.hidden = code.length === 0;

    const open = (i) => {
        if (current !== i) {
            current = i;
            numbers.textContent = Array.from({ length: lines[i] }, (_, k) => k + 1).join("\n");
            text.textContent = code[i].text;
            buttons.forEach((tab, k) => tab.setAttribute("aria-selected", String(k === i)));
            colour(text.firstChild, code[i]);
        }
        mark();
    };

    /** The lines of a kernel and of nodes: from the narrowest ranges on, each once. */
    const rangesOf = (each, { nodes, kernel }) => {
        const found = nodes.flatMap((node) => each.nodes?.[node] ?? []);
        const whole = each.kernels?.[kernel] ?? [];
        const all = (found.length ? found : whole).map(([from, to]) => `${from} ${to}`);
        return [...new Set(all)]
            .map((range) => range.split(" ").map(Number))
            .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    };

    const goTo = (k) => {
        shown = k;
        [...bands.children].forEach((band, i) => band.classList.toggle("current", i === k));
        const [from, to] = ranges[k];
        const height = (to - from + 1) * LINE;
        const above = height < scroll.clientHeight - 2 * LINE ? (scroll.clientHeight - height) / 2 : LINE;
        scroll.scrollTo({ top: (from - 1) * LINE - above, left: 0 });
        const where = from === to ? `line ${from}` : `lines ${from}–${to}`;
        note.textContent = ranges.length > 1 ? `${where} · ${k + 1} of ${ranges.length}` : where;
    };

    const mark = () => {
        ranges = rangesOf(code[current], wanted);
        bands.replaceChildren(
            ...ranges.map(([from, to]) => {
                const band = element("div", { class: "band" });
                band.style.top = `${(from - 1) * LINE}px`;
                band.style.height = `${(to - from + 1) * LINE}px`;
                return band;
            }),
        );
        next.hidden = ranges.length < 2;
        note.textContent = wanted.nodes.length || wanted.kernel !== null ? "no lines of its own" : "";
        if (ranges.length) goTo(0);
    };

    if (code.length) open(0);
    return {
        /** Shows what belongs to nodes and a kernel; in another text where the open one has nothing. */
        show(nodes, kernel = null) {
            if (!code.length) return;
            wanted = { nodes, kernel };
            const has = (i) => rangesOf(code[i], wanted).length > 0;
            const better = code.findIndex((_, i) => has(i));
            open(has(current) || better < 0 ? current : better);
        },
        has: (nodes, kernel = null) => code.some((each) => rangesOf(each, { nodes, kernel }).length > 0),
    };
}

/** Comments and keywords, as ranges of the one text node: colours need no elements here. */
function colour(node, { language, text }) {
    if (!globalThis.CSS?.highlights || !globalThis.Highlight) return;
    CSS.highlights.clear();
    const words = WORDS[language];
    if (!node || !words || text.length > LONGEST_COLOURED) return;
    const comment = language === "c" ? "/\\*[\\s\\S]*?\\*/|//[^\\n]*" : "#[^\\n]*";
    const tokens = new RegExp(`(${comment})|("(?:[^"\\\\\\n]|\\\\.)*")|\\b(${words.split(" ").join("|")})\\b`, "g");
    const found = [new Highlight(), new Highlight(), new Highlight()];
    for (const match of text.matchAll(tokens)) {
        const range = new StaticRange({
            startContainer: node,
            startOffset: match.index,
            endContainer: node,
            endOffset: match.index + match[0].length,
        });
        found[match[1] ? 0 : match[2] ? 1 : 2].add(range);
    }
    ["comment", "string", "keyword"].forEach((name, i) => CSS.highlights.set(name, found[i]));
}
