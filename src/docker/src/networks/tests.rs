//! Networks with their options, and who has which address in them.

use super::*;

fn networks(dir: &Path) -> Networks {
    let pool = AddressPool { base: "172.16.0.0/14".parse().unwrap(), size: 16 };
    let networks = Networks::open(dir, vec![pool]).unwrap();
    networks.allocate_missing(&AddressSpace::default()).unwrap();
    networks
}

fn with_subnet(name: &str, range: &str) -> Network {
    let wanted = ipam::Wanted { subnet: range.into(), ..Default::default() };
    Network { subnet: ipam::parse(&[wanted]).unwrap(), ..Network::new(name, BRIDGE) }
}

#[test]
fn each_network_has_addresses_of_its_own_and_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let space = AddressSpace { own: vec!["10.244.0.0/19".parse().unwrap()], routed: vec![] };
    let range = |network: &Network| network.subnet.as_ref().unwrap().range.to_string();
    {
        let all = networks(dir.path());
        assert_eq!(range(&all.find("default").unwrap()), "172.16.0.0/16");
        assert_eq!(range(&all.add(Network::new("one", BRIDGE), &space).unwrap()), "172.17.0.0/16");
        let overlaps = |range| all.add(with_subnet("x", range), &space).unwrap_err().message;
        for taken in ["172.17.5.0/24", "10.244.1.0/24", "0.0.0.0/0"] {
            assert!(
                overlaps(taken).contains("Pool overlaps with other one on this address space"),
                "{taken}"
            );
        }
        let again = all.add(Network::new("one", BRIDGE), &space).unwrap_err();
        assert_eq!(again.message, "network with name one already exists");
        let busy = AddressSpace { routed: vec!["172.18.0.0/15".parse().unwrap()], ..space };
        let full = all.add(Network::new("two", BRIDGE), &busy).unwrap_err();
        assert_eq!(full.message, "all predefined address pools have been fully subnetted");
    }
    assert_eq!(range(&networks(dir.path()).find("one").unwrap()), "172.17.0.0/16");
}

#[test]
fn options_are_done_or_refused_or_warned_of() {
    for (name, value, want) in [
        (MTU, "1400", Ok(0)),
        (MTU, "x", Err("failed to parse com.docker.network.driver.mtu value: \"x\" (invalid syntax)")),
        (MTU, "20", Err("invalid MTU number: 20")),
        (MEMBERS_MEET, "false", Ok(0)),
        (
            MEMBERS_MEET,
            "no",
            Err("failed to parse com.docker.network.bridge.enable_icc value: \"no\" (invalid syntax)"),
        ),
        (HOST_BINDING, "127.0.0.1", Ok(0)),
        (
            HOST_BINDING,
            "here",
            Err("failed to parse com.docker.network.bridge.host_binding_ipv4 value: \"here\" (invalid ip)"),
        ),
        ("com.docker.network.bridge.name", "br7", Ok(1)),
    ] {
        let said = check_options(&[(name.to_owned(), value.to_owned())].into());
        assert_eq!(
            said.map(|w| w.len()).map_err(|e| e.message),
            want.map_err(str::to_owned),
            "{name}={value}"
        );
    }
    let with = |value: &str| {
        Network { options: [(MTU.to_owned(), value.to_owned())].into(), ..Network::new("n", BRIDGE) }.mtu()
    };
    assert_eq!((with("1400"), with("0")), (Some(1400), None));
}

/// Removing the one by its id once removed the other.
#[test]
fn an_id_is_never_taken_for_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let all = networks(dir.path());
    let one = all.add(Network::new("one", BRIDGE), &AddressSpace::default()).unwrap();
    let two = all.add(Network::new(&one.id, BRIDGE), &AddressSpace::default()).unwrap();
    let short = all.add(Network::new(&one.id[..12], BRIDGE), &AddressSpace::default()).unwrap();
    let find = |name: &str| all.find(name).unwrap().id;
    assert_eq!((find(&one.id), find("one"), find(&two.id)), (one.id.clone(), one.id.clone(), two.id.clone()));
    assert_eq!(find(&one.id[..12]), short.id, "a name is before the beginning of an id");
    assert_eq!(all.of_record(&two.name).unwrap().id, two.id, "what a container's record names");
    assert_eq!(all.of_record("one").unwrap().id, one.id);
}

#[test]
fn an_address_is_one_containers_until_it_gives_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let all = networks(dir.path());
    let one = all.add(with_subnet("one", "10.1.0.0/24"), &AddressSpace::default()).unwrap();
    let lease = |container: &str, wanted: Option<u8>| {
        let wanted = wanted.map(|last| Ipv4Addr::new(10, 1, 0, last));
        all.lease(&one, container, wanted).map(|address| address.octets()[3]).map_err(|e| e.message)
    };
    assert_eq!((lease("a", None), lease("b", None), lease("c", Some(9))), (Ok(2), Ok(3), Ok(9)));
    for taken in [9, 1, 0, 255] {
        assert_eq!(lease("d", Some(taken)), Err("Address already in use".to_owned()), "{taken}");
    }
    all.release("a", Some("one"));
    assert_eq!(lease("d", None), Ok(2));
    all.release("c", None);
    assert_eq!(lease("e", Some(9)), Ok(9));
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("networks.json"), "").unwrap();
    let why = Networks::open(dir.path(), Vec::new()).err().unwrap().to_string();
    assert!(why.contains("networks.json: EOF while parsing"), "{why}");
}

#[test]
fn a_record_that_can_not_be_written_changes_nothing_and_what_is_written_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (space, file) = (AddressSpace::default(), dir.path().join("networks.json"));
    let all = networks(dir.path());
    let one = all.add(Network::new("one", BRIDGE), &space).unwrap();
    let names = || all.all().into_iter().map(|network| network.name).collect::<Vec<_>>();
    let before = names();
    std::fs::rename(&file, dir.path().join("kept")).unwrap();
    // as on a full disk, nothing can be put there
    std::fs::create_dir_all(file.join("in-the-way")).unwrap();
    all.add(Network::new("two", BRIDGE), &space).unwrap_err();
    all.remove(&one.id).unwrap_err();
    assert_eq!(names(), before);
    all.allocate_missing(&space).unwrap();

    std::fs::remove_dir_all(&file).unwrap();
    all.add(Network::new("two", BRIDGE), &space).unwrap();
    all.remove(&one.id).unwrap();
    assert!(names().contains(&"two".to_owned()) && !names().contains(&"one".to_owned()));
}
