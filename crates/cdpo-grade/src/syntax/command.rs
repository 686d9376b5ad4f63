//! The LaTeX commands that have a meaning here.

/// Commands without which a text reads the same: they set spaces, sizes and fonts.
pub(super) fn is_layout(name: &str) -> bool {
    matches!(
        name,
        "left"
            | "right"
            | "big"
            | "Big"
            | "bigg"
            | "Bigg"
            | "bigl"
            | "bigr"
            | "Bigl"
            | "Bigr"
            | "biggl"
            | "biggr"
            | "Biggl"
            | "Biggr"
            | "middle"
            | "displaystyle"
            | "textstyle"
            | "scriptstyle"
            | "limits"
            | "nolimits"
            | "quad"
            | "qquad"
            | "thinspace"
            | "enspace"
            | "boldsymbol"
            | "bm"
            | "mathbf"
            | "mathit"
            | "mathsf"
            | "mathcal"
            | "boxed"
            | "fbox"
            | "ensuremath"
            | "hfill"
            | "newline"
            | "par"
            | "noindent"
            | "bf"
            | "it"
            | "mathstrut"
            | "strut"
            | "centering"
            | "hline"
            | "allowbreak"
            | "nobreak"
            | "smallskip"
            | "medskip"
            | "bigskip"
            | "large"
            | "Large"
            | "normalsize"
            | "small"
            | "pmb"
            | "textsf"
            | "nonumber"
            | "underline"
    )
}

/// Commands that set a colour or leave room, as their argument says; a text reads the same without both.
pub(super) fn takes_setting(name: &str) -> bool {
    matches!(
        name,
        "color" | "textcolor" | "hspace" | "vspace" | "phantom" | "hphantom" | "vphantom"
    )
}

/// Every other command with a meaning, in alphabetical order.
const KNOWN: &[&str] = &[
    "Gamma",
    "Longrightarrow",
    "Rightarrow",
    "alpha",
    "angle",
    "approx",
    "arccos",
    "arcsin",
    "arctan",
    "ast",
    "backslash",
    "bar",
    "begin",
    "beta",
    "binom",
    "bmod",
    "bullet",
    "cap",
    "cdot",
    "cdots",
    "cfrac",
    "chi",
    "choose",
    "circ",
    "cong",
    "cos",
    "cosh",
    "cot",
    "csc",
    "cup",
    "dbinom",
    "degree",
    "delta",
    "dfrac",
    "div",
    "dots",
    "dotsc",
    "emptyset",
    "end",
    "epsilon",
    "equiv",
    "eta",
    "exp",
    "frac",
    "gamma",
    "gcd",
    "ge",
    "geq",
    "geqslant",
    "gt",
    "hat",
    "implies",
    "in",
    "infty",
    "int",
    "kappa",
    "lambda",
    "land",
    "langle",
    "lbrace",
    "lbrack",
    "lceil",
    "ldots",
    "le",
    "leq",
    "leqslant",
    "lfloor",
    "lg",
    "lim",
    "ln",
    "log",
    "lor",
    "lt",
    "lvert",
    "mathbb",
    "mathrm",
    "max",
    "mbox",
    "mid",
    "min",
    "mod",
    "mp",
    "mu",
    "ne",
    "neg",
    "neq",
    "nu",
    "omega",
    "operatorname",
    "overline",
    "overrightarrow",
    "pi",
    "pm",
    "pmod",
    "prime",
    "prod",
    "psi",
    "rangle",
    "rbrace",
    "rbrack",
    "rceil",
    "rfloor",
    "rho",
    "rightarrow",
    "rm",
    "rvert",
    "sec",
    "setminus",
    "sigma",
    "sim",
    "sin",
    "sinh",
    "sqrt",
    "sum",
    "tan",
    "tanh",
    "tau",
    "text",
    "textbf",
    "textit",
    "textnormal",
    "textrm",
    "tfrac",
    "theta",
    "times",
    "to",
    "triangle",
    "varepsilon",
    "varnothing",
    "varphi",
    "vec",
    "vee",
    "vert",
    "wedge",
    "widehat",
    "xi",
    "zeta",
];

/// Whether a command has a meaning.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.binary_search(&name).is_ok() || is_layout(name)
}

/// How much of a run of letters is the command: all of it, or, where a space was lost as in `\cotx`, the longest
/// known command that leaves one or two letters, or capitals alone.
pub(super) fn known_len(name: &str) -> usize {
    if is_known(name) {
        return name.len();
    }
    let capitals = name
        .bytes()
        .rev()
        .take_while(u8::is_ascii_uppercase)
        .count();
    (1..=capitals.max(2))
        .filter_map(|left| name.len().checked_sub(left))
        .find(|&len| len >= 2 && is_known(&name[..len]))
        .unwrap_or(name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_commands_are_in_order() {
        assert!(KNOWN.is_sorted());
    }

    #[test]
    fn a_lost_space_does_not_hide_a_command() {
        assert_eq!(known_len("cotx"), 3);
        assert_eq!(known_len("quadx"), 4);
        assert_eq!(known_len("triangleABC"), 8);
        assert_eq!(known_len("zzz"), 3);
        assert_eq!(known_len("infty"), 5);
    }
}
