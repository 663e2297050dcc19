//! What is checked of `metadata.managedFields`, which clients may write, and of the managers that they name.

use crate::ErrorList;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// In bytes, as upstream counts them.
pub const LONGEST_MANAGER: usize = 128;
const LONGEST_SUBRESOURCE: usize = 256; // bytes

/// Go's `unicode.IsPrint`: what Rust does not escape behind a letter, for marks that combine with one are printed.
pub fn is_printable(c: char) -> bool {
    format!("a{c}").escape_debug().nth(1) != Some('\\') || matches!(c, '\\' | '"' | '\'')
}

/// Upstream's `ValidateFieldManager`.
pub fn validate_field_manager(manager: &str, field: &str, errors: &mut ErrorList) {
    if manager.len() > LONGEST_MANAGER {
        errors.too_long(field, LONGEST_MANAGER);
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| !is_printable(*c)) {
        errors.invalid(
            field,
            manager,
            format_args!("invalid character U+{:04X} (at position {at})", u32::from(c)),
        );
    }
}

/// Upstream's `ValidateManagedFields`.
pub(crate) fn validate_managed_fields(entries: &[ManagedFieldsEntry], errors: &mut ErrorList) {
    for (index, entry) in entries.iter().enumerate() {
        let field = format!("metadata.managedFields[{index}]");
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let operation = text(&entry.operation);
        if !matches!(operation.as_str(), "Apply" | "Update") {
            errors.invalid(format_args!("{field}.operation"), operation, "must be `Apply` or `Update`");
        }
        let form = text(&entry.fields_type);
        if !matches!(form.as_str(), "" | "FieldsV1") {
            errors.invalid(format_args!("{field}.fieldsType"), form, "must be `FieldsV1`");
        }
        validate_field_manager(&text(&entry.manager), &format!("{field}.manager"), errors);
        if text(&entry.subresource).len() > LONGEST_SUBRESOURCE {
            errors.too_long(format_args!("{field}.subresource"), LONGEST_SUBRESOURCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(check: impl Fn(&mut ErrorList)) -> Vec<String> {
        let mut errors = ErrorList::default();
        check(&mut errors);
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn managers_are_short_and_printable() {
        let longest = "m".repeat(LONGEST_MANAGER);
        for (name, manager, want) in [
            ("a program", "kubectl-client-side-apply", &[][..]),
            ("letters of others", "é ü 字 e\u{301} \"\\'", &[]),
            ("the longest", longest.as_str(), &[]),
            (
                "a longer one",
                &format!("{longest}m"),
                &["fieldManager: Too long: may not be more than 128 bytes"],
            ),
            (
                "a line's end and a space of no width",
                "a\n\u{200b}",
                &[
                    "fieldManager: Invalid value: \"a\\n\u{200b}\": invalid character U+000A (at position 1)",
                    "fieldManager: Invalid value: \"a\\n\u{200b}\": invalid character U+200B (at position 2)",
                ],
            ),
        ] {
            assert_eq!(
                said(|errors| validate_field_manager(manager, "fieldManager", errors)),
                want,
                "{name}"
            );
        }
    }

    /// Shown once for each of its characters it would be a terabyte.
    #[test]
    fn a_manager_as_long_as_a_body_is_refused_in_a_moment() {
        let begun = std::time::Instant::now();
        let mut errors = ErrorList::default();
        validate_field_manager(&"\u{1}".repeat(500_000), "fieldManager", &mut errors);
        assert_eq!(errors.len(), 500_001);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    #[test]
    fn entries_say_what_they_are_in_words_that_there_are() {
        let entry = |operation: &str, form: &str, manager: &str, subresource: &str| ManagedFieldsEntry {
            operation: Some(operation.to_owned()),
            fields_type: Some(form.to_owned()),
            manager: Some(manager.to_owned()),
            subresource: Some(subresource.to_owned()),
            ..ManagedFieldsEntry::default()
        };
        let entries = [
            entry("Update", "FieldsV1", "m", "status"),
            entry("Own", "FieldsV2", &"m".repeat(129), &"s".repeat(257)),
            entry("Apply", "", "", ""),
        ];
        assert_eq!(
            said(|errors| validate_managed_fields(&entries, errors)),
            [
                "metadata.managedFields[1].operation: Invalid value: \"Own\": must be `Apply` or `Update`",
                "metadata.managedFields[1].fieldsType: Invalid value: \"FieldsV2\": must be `FieldsV1`",
                "metadata.managedFields[1].manager: Too long: may not be more than 128 bytes",
                "metadata.managedFields[1].subresource: Too long: may not be more than 256 bytes",
            ]
        );
    }
}
