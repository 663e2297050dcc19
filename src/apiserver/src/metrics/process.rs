//! Of the process, which is the control plane, the kubelet and the Docker engine in one.

use cluster::metrics::Exposition;
use jiff::Timestamp;

/// `USER_HZ`: on every architecture that runs us the kernel tells programs' times in hundredths of a second.
const TICKS: f64 = 100.0;

/// What `/proc` says of it.
#[derive(Debug, Default, PartialEq)]
struct Process {
    cpu_seconds: f64,
    /// Since 1970.
    started: f64,
    virtual_bytes: f64,
}

pub(super) fn collect(out: &mut Exposition) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let process = own();
    let values = [
        (
            "process_cpu_seconds_total",
            "counter",
            "Total user and system CPU time spent in seconds.",
            process.as_ref().map(|of| of.cpu_seconds),
        ),
        (
            "process_start_time_seconds",
            "gauge",
            "Start time of the process since unix epoch in seconds.",
            process.as_ref().map(|of| of.started),
        ),
        (
            "process_virtual_memory_bytes",
            "gauge",
            "Virtual memory size in bytes.",
            process.as_ref().map(|of| of.virtual_bytes),
        ),
        (
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory size in bytes.",
            resident(&read("/proc/self/status")),
        ),
        (
            "process_open_fds",
            "gauge",
            "Number of open file descriptors.",
            std::fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as f64),
        ),
        (
            "process_max_fds",
            "gauge",
            "Maximum number of open file descriptors.",
            most_files(&read("/proc/self/limits")),
        ),
    ];
    for (name, kind, help, value) in values {
        if let Some(value) = value {
            out.metric(name, kind, help);
            out.value(name, &[], value, None);
        }
    }
}

/// When it did, by the kernel's clock.
pub(crate) fn process_started() -> Option<Timestamp> {
    Timestamp::from_second(own()?.started as i64).ok()
}

fn own() -> Option<Process> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    parse(&read("/proc/self/stat")?, &read("/proc/stat")?)
}

/// Of `/proc/self/stat` (see proc(5)) and `/proc/stat`.
fn parse(own: &str, of_all: &str) -> Option<Process> {
    // the name may hold anything, parentheses too
    let fields: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
    // the first that is left is the third
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let booted = of_all.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(Process {
        cpu_seconds: (field(14)? + field(15)?) / TICKS,
        started: booted.trim().parse::<f64>().ok()? + field(22)? / TICKS,
        virtual_bytes: field(23)?,
    })
}

/// In kB in the kernel's words, whatever a page is.
fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// The soft limit.
fn most_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let own = "42 (mono) pod) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1000 8192 30 18446744073709551615";
        let want = Process { cpu_seconds: 3.0, started: 1_700_000_010.0, virtual_bytes: 8192.0 };
        assert_eq!(parse(own, "cpu 1 2 3\nbtime 1700000000\n"), Some(want));
        assert_eq!(parse("", ""), None);
        assert_eq!(resident("Name:\tmonopod\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        let limits = "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n";
        assert_eq!(most_files(limits), Some(1024.0));
    }

    #[test]
    fn all_of_it_is_known_of_this_process() {
        let mut out = Exposition::default();
        collect(&mut out);
        let text = out.into_text();
        let told = text.lines().filter(|line| line.starts_with("process_")).count();
        assert_eq!(told, 6, "{text}");
    }
}
