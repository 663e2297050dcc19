//! As much of Go's templates as formats are made of: text, and fields of the one object (`{{.Host}}`), with `{{"\n"}}` for a
//! line's end.

/// # Errors
/// A field that there is not, or what is no such template, in Go's words.
pub(super) fn render(template: &str, field: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut rendered = String::new();
    let mut rest = template;
    while let Some(start) = rest.find("{{") {
        rendered.push_str(&rest[..start]);
        let action = &rest[start + 2..];
        let end = action.find("}}").ok_or("template: status:1: unclosed action")?;
        let body = action[..end].trim_start_matches("- ").trim_end_matches(" -").trim();
        match (body.strip_prefix('.'), body.strip_prefix('"').and_then(|b| b.strip_suffix('"'))) {
            (Some(name), _) => match field(name) {
                Some(value) => rendered.push_str(&value),
                None => {
                    return Err(format!(
                        "template: status:1:{start}: executing \"status\" at <.{name}>: can't evaluate field {name} in type *cluster.Status"
                    ));
                }
            },
            (None, Some(text)) => rendered.push_str(&text.replace("\\n", "\n").replace("\\t", "\t")),
            (None, None) => {
                return Err(format!(
                    "template: status:1: {body:?}: only fields and texts are understood here"
                ));
            }
        }
        rest = &action[end + 2..];
    }
    rendered.push_str(rest);
    Ok(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_texts() {
        let field = |name: &str| (name == "Host").then(|| "Running".to_owned());
        let cases = [
            ("{{.Host}}", Ok("Running")),
            ("host: {{ .Host }}\n", Ok("host: Running\n")),
            ("{{.Host}}{{\"\\n\"}}", Ok("Running\n")),
            ("plain", Ok("plain")),
        ];
        for (template, want) in cases {
            assert_eq!(render(template, field).as_deref().map_err(String::as_str), want, "{template}");
        }
        for bad in ["{{.Nope}}", "{{.Host", "{{if .Host}}"] {
            assert!(render(bad, field).is_err(), "{bad}");
        }
    }
}
