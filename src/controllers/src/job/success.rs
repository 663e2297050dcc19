//! When an indexed Job has succeeded before all its indexes have: the success policy. Pure.

use k8s_openapi::api::batch::v1::SuccessPolicy;
use kinds::Indexes;

/// The message of the first rule that holds.
pub(super) fn met(policy: Option<&SuccessPolicy>, completions: i32, succeeded: &Indexes) -> Option<String> {
    let rules = policy?.rules.iter().enumerate();
    let mut holding = rules.filter(|(_, rule)| {
        let asked = rule.succeeded_indexes.as_deref().map(|text| Indexes::lenient(text, completions));
        let count = match &asked {
            Some(asked) => asked.count_common(succeeded),
            None => succeeded.count(),
        };
        match (rule.succeeded_count, &asked) {
            (Some(least), _) => count >= least,
            (None, Some(asked)) => !asked.is_empty() && count == asked.count(),
            (None, None) => false,
        }
    });
    holding.next().map(|(index, _)| format!("Matched rules at index {index}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::SuccessPolicyRule;

    #[test]
    fn a_rule_asks_for_indexes_or_for_so_many_or_for_so_many_of_these() {
        let rule = |indexes: Option<&str>, count| SuccessPolicyRule {
            succeeded_indexes: indexes.map(str::to_owned),
            succeeded_count: count,
        };
        // (name, rules, succeeded, message)
        let cases = [
            ("none yet", vec![rule(Some("0"), None)], "1-3", None),
            ("the leader", vec![rule(Some("0"), None)], "0", Some(0)),
            ("all of these", vec![rule(Some("0-2"), None)], "0,2", None),
            ("so many", vec![rule(None, Some(2))], "3,7", Some(0)),
            ("so many of these", vec![rule(Some("0-2"), Some(2))], "0,7", None),
            ("so many of these are there", vec![rule(Some("0-2"), Some(2))], "0,2", Some(0)),
            ("the second rule", vec![rule(Some("9"), None), rule(None, Some(1))], "3", Some(1)),
        ];
        for (name, rules, succeeded, want) in cases {
            let policy = SuccessPolicy { rules };
            let got = met(Some(&policy), 10, &Indexes::lenient(succeeded, 10));
            assert_eq!(got, want.map(|index| format!("Matched rules at index {index}")), "{name}");
        }
        assert_eq!(met(None, 10, &Indexes::lenient("0-9", 10)), None);
    }
}
