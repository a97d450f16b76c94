# Flatten the YAML of a NoCloud seed to lines of path=value, for a shell to read.
#
#   ethernets:                          ethernets/a/addresses/0=192.0.2.5/24
#     a: {addresses: [192.0.2.5/24]}
#
# Reads what cloud-init seeds are written in: block mappings and sequences, flow collections (JSON,
# too), quoted, plain and literal scalars, folded over lines or not. Lines of one scalar are joined
# by a blank. Not read: anchors, several documents. Awk, because tiny has nothing else.

function trim(s) { sub(/^[ \t]+/, "", s); sub(/[ \t\r]+$/, "", s); return s }

function path(  i, p) {
    for (i = 1; i <= depth; i++) p = p (i > 1 ? "/" : "") part[i]
    return p
}

function emit(at, value) { if (at != "") print at "=" value }

function unquote(s,  q) {
    s = trim(s); q = substr(s, 1, 1)
    if (q == "\"" || q == "'") {
        s = substr(s, 2, length(s) - 2)
        if (q == "\"") { gsub(/\\n/, " ", s); gsub(/\\ /, " ", s); gsub(/\\\//, "/", s); gsub(/\\"/, "\"", s) }
        else gsub(/''/, "'", s)
        return s
    }
    sub(/[ \t]+#.*$/, "", s)
    return s
}

function whole(s,  q) {  # is a quoted scalar closed?
    q = substr(s, 1, 1)
    if (q != "\"" && q != "'") return 1
    return length(s) > 1 && substr(s, length(s)) == q && substr(s, length(s) - 1, 1) != "\\"
}

function balance(s,  i, c, q, n) {  # open brackets that are not closed yet
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (q) { if (c == q) q = "" }
        else if (c == "\"" || c == "'") q = c
        else if (c == "{" || c == "[") n++
        else if (c == "}" || c == "]") n--
    }
    return n
}

function blanks() { while (substr(flow, at, 1) ~ /[ \t]/) at++ }

function word(stop,  c, from) {  # a scalar inside a flow collection
    blanks(); from = at; c = substr(flow, at, 1)
    if (c == "\"" || c == "'") {
        for (at++; at <= length(flow) && substr(flow, at, 1) != c; at++) if (substr(flow, at, 1) == "\\") at++
        at++
    } else while (at <= length(flow) && index(stop, substr(flow, at, 1)) == 0) at++
    return unquote(substr(flow, from, at - from))
}

function inside(under,  c, n, key) {  # one value of a flow collection
    blanks(); c = substr(flow, at, 1)
    if (c != "{" && c != "[") { emit(under, word(",]}")); return }
    at++
    for (n = 0; at <= length(flow); n++) {
        blanks()
        if (substr(flow, at, 1) == ",") { at++; blanks() }
        if (index("]}", substr(flow, at, 1))) { at++; return }
        key = n
        if (c == "{") { key = word(":"); blanks(); at++ }
        inside(under == "" ? key : under "/" key)
    }
}

function settle() {  # the scalar that was being gathered is complete
    if (gathering == "flow") { flow = gathered; at = 1; inside(owner) }
    else if (gathering != "") emit(owner, gathering == "literal" ? trim(gathered) : unquote(gathered))
    gathering = ""
}

function value(text, indent) {
    sub(/^!+[a-z]+ +/, "", text)  # a tag says nothing that its reader does not know
    gathered = text; owner = path(); column = indent
    if (text ~ /^[|>][0-9+-]*$/) { gathering = "literal"; gathered = "" }
    else if (text ~ /^[{[]/) { gathering = "flow"; if (balance(text) <= 0) settle() }
    else { gathering = "scalar" }
}

function enter(kind, indent) {  # make the collection at this indent the innermost
    while (depth && (at_indent[depth] > indent || (at_indent[depth] == indent && kind == "map" && type[depth] == "seq"))) depth--
    if (depth && at_indent[depth] == indent && type[depth] == kind) return
    depth++; at_indent[depth] = indent; type[depth] = kind; part[depth] = -1
}

function node(text, indent,  rest, key) {
    if (text ~ /^-( |$)/) {
        enter("seq", indent); part[depth]++
        rest = substr(text, 2); key = rest; sub(/^ +/, "", key)
        if (key != "") node(key, indent + 1 + length(rest) - length(key))
    } else if (match(text, /^("[^"]*"|'[^']*'|[A-Za-z0-9_.\/-]+) *:( |$)/)) {
        key = substr(text, 1, RLENGTH); sub(/ *: *$/, "", key)
        enter("map", indent); part[depth] = unquote(key)
        rest = trim(substr(text, RLENGTH + 1))
        if (rest != "" && rest !~ /^#/) value(rest, indent)
    } else value(text, indent - 1)
}

{
    sub(/\r$/, ""); text = trim($0); match($0, /^ */); indent = RLENGTH
    if (gathering == "flow" || (gathering == "scalar" && !whole(gathered))) {
        sub(/\\$/, "", gathered); gathered = gathered " " text
        if (gathering == "flow" ? balance(gathered) <= 0 : whole(gathered)) settle()
        next
    }
    if (gathering == "literal" && (text == "" || indent > column)) { gathered = gathered " " text; next }
    if (text == "" || text ~ /^#/ || text ~ /^(---|\.\.\.)/) next
    if (gathering == "scalar" && indent > column && gathered !~ /^["']/ && text !~ /^- /) { gathered = gathered " " text; next }
    settle(); node(text, indent)
}

END { settle() }
