//! `$(NAME)` in commands, arguments, environment and sub-paths, as upstream's third_party/forked/golang/expansion.

/// `$$` is a dollar; what is unknown stays as it is written.
pub fn expand(input: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match known(name) {
                Some(value) => out.push_str(&value),
                None => out.extend(["$(", name, ")"]),
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn references() {
        let cases = [
            ("plain", "plain"),
            ("$(A)", "1"),
            ("x-$(A)-$(B)-y", "x-1-two-y"),
            ("$(UNKNOWN)", "$(UNKNOWN)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(A", "$(A"),
            ("$A and $", "$A and $"),
        ];
        for (given, want) in cases {
            let known = |name: &str| match name {
                "A" => Some("1".to_owned()),
                "B" => Some("two".to_owned()),
                _ => None,
            };
            assert_eq!(expand(given, known), want, "{given}");
        }
    }
}
