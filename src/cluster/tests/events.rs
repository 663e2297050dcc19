//! What is written of many events about one object.

use api::LabelSelector;
use cluster::Actor;
use k8s_openapi::api::core::v1::Event;
use testkit::objects;

#[tokio::test]
async fn of_many_events_about_an_object_few_are_written() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let mut changes = cluster.informer::<Event>().subscribe();
    let recorder = root.recorder("test", None);
    let (pod, other) = (objects::pod("p").uid("1").build(), objects::pod("other").uid("2").build());
    for n in 0..40 {
        recorder.warning(&pod, "Failed", format!("reason {n}"));
    }
    recorder.normal(&other, "Pulled", "done");
    // what is said comes in order
    while let Some(change) = changes.next().await {
        if change.object().reason.as_deref() == Some("Pulled") {
            break;
        }
    }
    let stored = root.api::<Event>().list(Some("default"), LabelSelector::everything()).unwrap();
    let of_pod = stored.iter().filter(|event| event.involved_object.name.as_deref() == Some("p"));
    let mut told: Vec<(&str, i32)> =
        of_pod.map(|event| (event.message.as_deref().unwrap(), event.count.unwrap())).collect();
    told.sort_unstable();
    let (combined, single) = told.split_first().unwrap();
    assert_eq!(*combined, ("(combined from similar events): reason 24", 16));
    let nine: Vec<String> = (0..9).map(|n| format!("reason {n}")).collect();
    assert_eq!(single, nine.iter().map(|message| (message.as_str(), 1)).collect::<Vec<_>>());
}
