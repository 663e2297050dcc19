//! Networks and the places of containers in them, as the stock client sees them.

use crate::world::World;
use cri::AddressSpace;
use testkit::networks::Asked;

async fn shown(world: &World, container: &str, format: &str) -> String {
    let said = world.docker(&["inspect", "-f", format, container]).await;
    assert_eq!(said.code, 0, "{}", said.err);
    said.out.trim().to_owned()
}

async fn address(world: &World, container: &str, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    shown(world, container, &format).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_a_place_in_each_of_its_networks() {
    let Some(mut world) = World::open("places").await else { return };
    world.docker(&["network", "create", "--subnet", "10.50.0.0/24", "one"]).await.fine();
    world.docker(&["network", "create", "--subnet", "10.51.0.0/24", "two"]).await.fine();
    let run = [
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "one",
        "--network",
        "name=two,ip=10.51.0.9",
        "busybox",
        "wait",
    ];
    world.docker(&run).await.fine();
    assert_eq!(address(&world, "web", "one").await, "10.50.0.2");
    assert_eq!(address(&world, "web", "two").await, "10.51.0.9");
    world.docker(&["network", "disconnect", "two", "web"]).await.fine();
    world.docker(&["run", "-d", "--name", "db", "--network", "one", "busybox", "wait"]).await.fine();
    assert_eq!(address(&world, "db", "one").await, "10.50.0.3");
    world.docker(&["network", "connect", "--alias", "store", "two", "db"]).await.fine();
    assert_eq!(address(&world, "db", "two").await, "10.51.0.2", "the first that is free");
    let names = shown(&world, "db", "{{json (index .NetworkSettings.Networks \"two\").DNSNames}}").await;
    assert!(names.starts_with("[\"db\",\"store\",\""), "{names}");

    // an engine that comes back knows who has which address
    world.stop().await;
    world.start().await;
    world.docker(&["run", "-d", "--name", "new", "--network", "one", "busybox", "wait"]).await.fine();
    assert_eq!(address(&world, "new", "one").await, "10.50.0.4");
    world.docker(&["stop", "-t", "0", "db"]).await.fine();
    assert_eq!(address(&world, "db", "one").await, "", "who does not run has no place");
    let taken =
        world.docker(&["run", "--rm", "--network", "one", "--ip", "10.50.0.4", "busybox", "say", "x"]).await;
    assert!(taken.err.contains("Address already in use"), "{}", taken.err);
    world
        .docker(&["run", "--rm", "--network", "one", "--ip", "10.50.0.3", "busybox", "say", "x"])
        .await
        .fine();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_connected_is_said_in_dockers_words() {
    let Some(world) = World::open("connect").await else { return };
    world.docker(&["network", "create", "shop"]).await.fine();
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    world
        .docker(&["run", "-d", "--name", "shared", "--network", "container:web", "busybox", "wait"])
        .await
        .fine();
    world.docker(&["create", "--name", "alone", "--network", "none", "busybox", "wait"]).await.fine();
    world.docker(&["create", "--name", "later", "--network", "missing", "busybox", "wait"]).await.fine();
    let cases: &[(&[&str], &str)] = &[
        (&["network", "connect", "shop", "shared"], "cannot be connected to any other network"),
        (&["network", "connect", "shop", "alone"], "with one of the networks in private (none) mode"),
        (&["network", "connect", "host", "web"], "container must be created in host network mode"),
        (&["network", "connect", "bridge", "web"], "endpoint with name web already exists in network bridge"),
        (&["network", "connect", "--ip", "10.0.0.9", "shop", "web"], "user configured subnets"),
        (&["network", "disconnect", "shop", "web"], "is not connected to network shop"),
        (&["network", "rm", "none"], "none is a pre-defined network and cannot be removed"),
        (&["start", "later"], "failed to set up container networking: network missing not found"),
        (&["create", "--link", "nobody:x", "busybox", "wait"], "could not get container for nobody"),
    ];
    for (words, why) in cases {
        let said = world.docker(words).await;
        assert!(said.code != 0 && said.err.contains(why), "{words:?}: {}{}", said.out, said.err);
    }
    assert_eq!(
        world.docker(&["network", "ls", "-q", "--filter", "dangling=true"]).await.out.lines().count(),
        1
    );
    world.docker(&["network", "connect", "shop", "web"]).await.fine();
    let busy = world.docker(&["network", "rm", "shop"]).await;
    assert!(busy.err.contains("network shop has active endpoints (name:\"web\""), "{}", busy.err);
    world.docker(&["network", "disconnect", "shop", "web"]).await.fine();
    world.docker(&["network", "rm", "shop"]).await.fine();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_the_kernel_refuses_is_not_made() {
    let Some(world) = World::open("refused").await else { return };
    let create = ["network", "create", "--subnet", "10.50.0.0/24", "shop"];
    world.networks.refuse(Some("add the route for 10.50.0.0/24: operation not permitted"));
    let refused = world.docker(&create).await;
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("10.50.0.0/24: operation not permitted"), "{}", refused.err);
    let listed = world.docker(&["network", "ls", "--format", "{{.Name}}"]).await;
    assert!(!listed.out.contains("shop"), "{}", listed.out);
    world.networks.refuse(None);
    world.docker(&create).await.fine();
    let asked = world.networks.asked();
    let Some(Asked::SetNetworks(networks)) = asked.last() else { panic!("{asked:?}") };
    assert!(networks.iter().any(|network| network.subnet == "10.50.0.0/24".parse().unwrap()), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_gets_addresses_to_which_the_host_has_no_route() {
    let Some(world) = World::open("routed").await else { return };
    let subnet_of = |name| ["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", name];
    // the engine answers when its own network has addresses
    assert_eq!(world.docker(&subnet_of("bridge")).await.out.trim(), "10.8.0.0/24");
    let (own, routed) = (vec![], vec!["10.8.0.0/20".parse().unwrap()]);
    world.networks.set_address_space(AddressSpace { own, routed });
    world.docker(&["network", "create", "shop"]).await.fine();
    assert_eq!(world.docker(&subnet_of("shop")).await.out.trim(), "10.8.16.0/24");
}
