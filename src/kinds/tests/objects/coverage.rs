//! Each built-in kind has cases in each table: what its defaults are, what of it is accepted, what is refused.

use crate::common::table;

#[test]
fn each_kind_has_its_cases() {
    let registry = kinds::all();
    for (name, field) in [("defaults.jsonl", "given"), ("valid.jsonl", "object"), ("invalid.jsonl", "object")]
    {
        let cases = table(name).1;
        let kinds = registry.versions().map(|version| &version.info().gvk);
        let without = kinds.filter(|gvk| {
            let version = gvk.api_version();
            !cases
                .iter()
                .any(|case| case[field]["apiVersion"] == *version && case[field]["kind"] == *gvk.kind)
        });
        let without: Vec<String> = without.map(|gvk| format!("{} {}", gvk.api_version(), gvk.kind)).collect();
        assert_eq!(without, [""; 0], "{name} has no case of these");
    }
}
