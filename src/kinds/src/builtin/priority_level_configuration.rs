//! PriorityLevelConfigurations: how many seats the requests of a level have. The validation is upstream's
//! `ValidatePriorityLevelConfiguration`.

use super::checks::text;
use super::flow_control::{CATCH_ALL, EXEMPT, fixed_level};
use super::{fill, name_of};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use k8s_openapi::api::flowcontrol::v1::{
    LimitedPriorityLevelConfiguration, PriorityLevelConfiguration, PriorityLevelConfigurationStatus,
    QueuingConfiguration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

// the defaults of flowcontrol.apiserver.k8s.io/v1
const DEFAULT_SHARES: i32 = 30;
const DEFAULT_QUEUES: i32 = 64;
const DEFAULT_HAND: i32 = 8;
const DEFAULT_LENGTH: i32 = 50;
const MOST_QUEUES: i32 = 10_000_000; // upstream's bound
/// What shuffle sharding deals hands from is a hash of 64 bits, of which upstream uses as many.
const MOST_ENTROPY_BITS: f64 = 60.0;

impl TypedKind for PriorityLevelConfiguration {
    const SINGULAR: &'static str = "prioritylevelconfiguration";
    const PLURAL: &'static str = "prioritylevelconfigurations";
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Type", "string", "Whether it is limited"),
        Column::new("NominalConcurrencyShares", "string", "Its part of the server's seats"),
        Column::new("Queues", "string", "How many queues it has"),
        Column::new("HandSize", "string", "How many of them a flow is dealt"),
        Column::new("QueueLengthLimit", "string", "How many requests wait in one"),
        Column::AGE,
    ];

    super::spec_and_status!(PriorityLevelConfigurationStatus);

    fn keep_metadata(new: &mut ObjectMeta, old: &ObjectMeta) {
        crate::keep_all_metadata(new, old);
    }
    fn set_defaults(&mut self) {
        let spec = &mut self.spec;
        if spec.type_ == "Exempt" {
            let exempt = spec.exempt.get_or_insert_default();
            exempt.nominal_concurrency_shares.get_or_insert(0);
            exempt.lendable_percent.get_or_insert(0);
        }
        if let Some(limited) = &mut spec.limited {
            limited.nominal_concurrency_shares.get_or_insert(DEFAULT_SHARES);
            limited.lendable_percent.get_or_insert(0);
            if let Some(queuing) = &mut limited.limit_response.queuing {
                fill::number(&mut queuing.queues, DEFAULT_QUEUES);
                fill::number(&mut queuing.hand_size, DEFAULT_HAND);
                fill::number(&mut queuing.queue_length_limit, DEFAULT_LENGTH);
            }
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        let name = text(&self.metadata.name);
        let spec = &self.spec;
        if (name == EXEMPT) != (spec.type_ == "Exempt") {
            let why = "type must be 'Exempt' if and only if name is 'exempt'";
            errors.invalid("spec.type", spec.type_.as_str(), why);
        }
        match spec.type_.as_str() {
            "Exempt" => {
                if spec.limited.is_some() {
                    errors.forbidden("spec.limited", "must be nil if the type is not Limited");
                }
                if let Some(level) = &spec.exempt {
                    seats(level.nominal_concurrency_shares, level.lendable_percent, "spec.exempt", errors);
                }
            }
            "Limited" => {
                if spec.exempt.is_some() {
                    errors.forbidden("spec.exempt", "must be nil if the type is Limited");
                }
                match &spec.limited {
                    Some(level) => limited(level, "spec.limited", errors),
                    None => errors.required("spec.limited", "must not be empty when type is Limited"),
                }
            }
            other => errors.not_supported("spec.type", other, &["Exempt", "Limited"]),
        }
        // the seats of the exempt level are the user's to set
        let fixed = match name {
            CATCH_ALL => fixed_level(name),
            _ => None,
        };
        if fixed.is_some_and(|fixed| fixed != self.spec) {
            let why = format!("spec of '{name}' must equal the fixed value");
            errors.invalid("spec", json!(self.spec), why);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let spec = &self.spec;
        let none = || Cell::from("<none>");
        let number = |number: Option<i32>| number.map_or_else(none, Cell::from);
        let limited = spec.limited.as_ref();
        let shares = match (limited, &spec.exempt) {
            (Some(limited), _) => limited.nominal_concurrency_shares,
            (None, exempt) => exempt.as_ref().and_then(|exempt| exempt.nominal_concurrency_shares),
        };
        let queuing = limited.and_then(|l| l.limit_response.queuing.as_ref());
        vec![
            name_of(&self.metadata),
            spec.type_.clone().into(),
            number(shares),
            number(queuing.and_then(|q| q.queues)),
            number(queuing.and_then(|q| q.hand_size)),
            number(queuing.and_then(|q| q.queue_length_limit)),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

fn limited(level: &LimitedPriorityLevelConfiguration, at: &str, errors: &mut ErrorList) {
    seats(level.nominal_concurrency_shares, level.lendable_percent, at, errors);
    if let Some(limit) = level.borrowing_limit_percent.filter(|limit| *limit < 0) {
        let why = "if specified, must be a non-negative integer";
        errors.invalid(format_args!("{at}.borrowingLimitPercent"), limit, why);
    }
    let response = level.limit_response.clone();
    let queuing_at = format!("{at}.limitResponse.queuing");
    match (response.type_.as_str(), &response.queuing) {
        ("Reject", Some(_)) => {
            errors.forbidden(queuing_at, "must be nil if limited.limitResponse.type is not Limited");
        }
        ("Reject", None) => {}
        ("Queue", None) => {
            errors.required(queuing_at, "must not be empty if limited.limitResponse.type is Limited");
        }
        ("Queue", Some(how)) => queuing(how, &queuing_at, errors),
        (other, _) => {
            errors.not_supported(format_args!("{at}.limitResponse.type"), other, &["Queue", "Reject"]);
        }
    }
}

fn seats(shares: Option<i32>, lendable: Option<i32>, at: &str, errors: &mut ErrorList) {
    if let Some(shares) = shares.filter(|shares| *shares < 0) {
        let why = "must be a non-negative integer";
        errors.invalid(format_args!("{at}.nominalConcurrencyShares"), shares, why);
    }
    if let Some(lendable) = lendable.filter(|percent| !(0..=100).contains(percent)) {
        let why = "must be between 0 and 100, inclusive";
        errors.invalid(format_args!("{at}.lendablePercent"), lendable, why);
    }
}

fn queuing(how: &QueuingConfiguration, at: &str, errors: &mut ErrorList) {
    let number = |number: Option<i32>| number.unwrap_or(0);
    let (queues, hand) = (number(how.queues), number(how.hand_size));
    for (field, value) in
        [("queueLengthLimit", number(how.queue_length_limit)), ("queues", queues), ("handSize", hand)]
    {
        if value <= 0 {
            errors.invalid(format_args!("{at}.{field}"), value, "must be positive");
        }
    }
    if queues > MOST_QUEUES {
        errors.invalid(
            format_args!("{at}.queues"),
            queues,
            format_args!("must not be greater than {MOST_QUEUES}"),
        );
    }
    if hand > queues {
        let why = format!("should not be greater than queues ({queues})");
        errors.invalid(format_args!("{at}.handSize"), hand, why);
    } else if hand > 0 && entropy_bits(queues, hand) > MOST_ENTROPY_BITS {
        let why = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than 60"
        );
        errors.invalid(format_args!("{at}.handSize"), hand, why);
    }
}

/// Of a hand that is dealt without putting back: log2 of `queues · (queues-1) · …`.
fn entropy_bits(queues: i32, hand: i32) -> f64 {
    (0..hand).map(|dealt| f64::from(queues - dealt).log2()).sum::<f64>().ceil()
}
