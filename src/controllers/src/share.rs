//! `25%` of how many, or a plain number.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(crate) fn of_total(share: Option<&IntOrString>, total: i32, round_up: bool) -> i32 {
    match share {
        None => 0,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => {
            // any digits are a percentage, and any number of replicas is a size
            let digits = text.trim_end_matches('%');
            let percent = i64::from(digits.parse::<i32>().unwrap_or(i32::MAX));
            let hundredths = percent * i64::from(total);
            let share = if round_up { (hundredths + 99).div_euclid(100) } else { hundredths / 100 };
            i32::try_from(share).unwrap_or(i32::MAX)
        }
    }
}
