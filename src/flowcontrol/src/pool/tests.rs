use super::*;

const QUEUING: Queuing = Queuing { queues: 64, hand: 6, length: 50 };
const ONE_QUEUE: Response = Response::Queue(Queuing { queues: 1, hand: 1, length: 1000 });

/// Shares, what may be lent in percent, and what may be borrowed.
fn level(response: Response, (shares, lendable_percent, borrowing): (u32, u32, Option<u32>)) -> Spec {
    Spec { response, shares, lendable_percent, borrowing_limit_percent: borrowing }
}

fn pool<T: Copy + PartialEq>(seats: u32, specs: &[Spec]) -> (Pool<T>, Vec<LevelId>) {
    let mut pool = Pool::new(seats);
    let ids = specs.iter().map(|spec| pool.add(*spec)).collect();
    pool.share_out();
    (pool, ids)
}

/// A level that has all the seats.
fn alone<T: Copy + PartialEq>(seats: u32, response: Response) -> (Pool<T>, LevelId) {
    let (pool, ids) = pool(seats, &[level(response, (1, 0, None))]);
    (pool, ids[0])
}

fn take(pool: &mut Pool<u64>, id: LevelId, number: u32) {
    for _ in 0..number {
        assert_eq!(pool.arrive(id, 1, 1, u64::MAX), Arrival::Runs(1));
    }
}

fn taken(pool: &Pool<u64>, ids: &[LevelId]) -> Vec<u32> {
    ids.iter().map(|id| pool.usage(*id).taken).collect()
}

#[test]
fn what_a_level_can_have_at_the_moment() {
    // nominal 50 each; `a` keeps 25 and may have all, `b` keeps 40 and may have 70
    let specs = [
        level(ONE_QUEUE, (50, 50, None)),
        level(ONE_QUEUE, (50, 20, Some(40))),
        level(Response::Exempt, (0, 0, None)),
    ];
    for (name, has, want) in [
        ("nobody does anything", [0, 0, 0], [60, 70, 0]),
        ("one has its own", [50, 0, 0], [60, 50, 0]),
        ("one has what is its own and all that is lent", [60, 0, 0], [60, 40, 0]),
        ("one has as much as it may borrow", [0, 70, 0], [30, 70, 0]),
        ("both have their own", [50, 50, 0], [50, 50, 0]),
        ("exempt requests take of what is lent", [0, 0, 30], [30, 45, 30]),
        ("and never what is not", [0, 0, 80], [25, 40, 80]),
        ("nor what is taken", [60, 10, 80], [60, 40, 80]),
    ] {
        let (mut pool, ids) = pool(100, &specs);
        for (id, number) in ids.iter().zip(has) {
            take(&mut pool, *id, number);
        }
        let got: Vec<u32> = ids.iter().map(|id| pool.usage(*id).current).collect();
        assert_eq!((got, taken(&pool, &ids)), (want.to_vec(), has.to_vec()), "{name}");
    }
}

#[test]
fn a_request_beyond_what_its_level_can_have_waits_or_is_refused() {
    let lender = level(ONE_QUEUE, (50, 100, None));
    for (name, response, (shares, borrowing), fits, then) in [
        ("no limit of borrowing", ONE_QUEUE, (50, None), 100, Arrival::Waits),
        ("a limit", ONE_QUEUE, (50, Some(50)), 75, Arrival::Waits),
        ("none", ONE_QUEUE, (50, Some(0)), 50, Arrival::Waits),
        ("refuses, and borrows", Response::Reject, (50, Some(10)), 55, Arrival::NoSeat),
        ("nothing of its own", ONE_QUEUE, (0, None), 100, Arrival::Waits),
        ("nothing of its own, a limit", ONE_QUEUE, (0, Some(100)), 0, Arrival::Waits),
        ("nothing of its own, and refuses", Response::Reject, (0, None), 0, Arrival::NoSeat),
    ] {
        let (mut pool, ids) = pool(100, &[lender, level(response, (shares, 0, borrowing))]);
        take(&mut pool, ids[1], fits);
        assert_eq!(pool.arrive(ids[1], 1, 1, 7), then, "{name}");
    }
}

#[test]
fn who_has_lent_has_its_own_back_before_anybody_borrows_again() {
    let (mut pool, ids) = pool(100, &[level(ONE_QUEUE, (50, 100, None)), level(ONE_QUEUE, (50, 0, None))]);
    let (lender, borrower) = (ids[0], ids[1]);
    take(&mut pool, borrower, 100);
    assert_eq!(pool.arrive(borrower, 1, 1, 1000), Arrival::Waits);
    for ticket in 0..60 {
        assert_eq!(pool.arrive(lender, 1, 1, ticket), Arrival::Waits);
    }
    for ticket in 0..50 {
        assert_eq!(pool.leave(borrower, 1), [(ticket, 1)]);
    }
    assert_eq!(taken(&pool, &ids), [50, 50]);
    // each has its own now, and both want more: to each what it has itself left
    assert_eq!(pool.leave(borrower, 1), [(1000, 1)]);
    assert_eq!(pool.leave(lender, 1), [(50, 1)]);
    // and when the lender has no use for it, it is lent again
    for ticket in 50..60 {
        pool.give_up(lender, ticket);
    }
    assert_eq!(pool.arrive(borrower, 1, 1, 1001), Arrival::Waits);
    assert_eq!(pool.leave(lender, 1), [(1001, 1)]);
    assert_eq!(taken(&pool, &ids), [49, 51]);
}

#[test]
fn a_wide_one_that_wants_its_own_is_not_passed_by_those_who_borrow() {
    let (mut pool, ids) = pool(100, &[level(ONE_QUEUE, (50, 100, None)), level(ONE_QUEUE, (50, 0, None))]);
    let (lender, borrower) = (ids[0], ids[1]);
    take(&mut pool, borrower, 100);
    assert_eq!(pool.arrive(lender, 1, 10, 1), Arrival::Waits);
    for _ in 0..9 {
        assert_eq!(pool.leave(borrower, 1), []);
        assert_eq!(pool.usage(borrower).current, pool.usage(borrower).taken, "it may borrow nothing");
    }
    assert_eq!(pool.arrive(borrower, 1, 1, 2), Arrival::Waits);
    assert_eq!(pool.leave(borrower, 1), [(1, 10)]);
    assert_eq!(pool.give_up(lender, 1), None, "it has its seats");
    assert_eq!(pool.leave(lender, 10), [(2, 1)]);
}

#[test]
fn what_is_lent_goes_by_what_each_has_of_its_own() {
    let of = |shares, lendable| level(ONE_QUEUE, (shares, lendable, None));
    let (mut pool, ids) = pool(100, &[of(50, 100), of(10, 0), of(40, 0), of(0, 0)]);
    take(&mut pool, ids[1], 60);
    take(&mut pool, ids[2], 40);
    for ticket in 0..200 {
        for id in &ids[1..] {
            assert_eq!(pool.arrive(*id, 1, 1, ticket), Arrival::Waits);
        }
    }
    for _ in 0..100 {
        assert_eq!(pool.leave(ids[1], 1).len(), 1);
    }
    // one to four, as their shares are, and the one without any comes last
    assert_eq!(taken(&pool, &ids), [0, 20, 80, 0]);
}

#[test]
fn a_flood_holds_up_only_itself() {
    let (mut pool, id) = alone(2, Response::Queue(QUEUING));
    take(&mut pool, id, 2);
    let arrivals = (2..1000).map(|ticket| pool.arrive(id, 1, 1, ticket));
    let rejected = arrivals.filter(|arrival| *arrival == Arrival::QueueFull).count();
    assert_eq!((pool.usage(id).waiting, rejected), (300, 698), "six queues of fifty");
    assert_eq!(pool.arrive(id, u64::MAX / 3, 1, 5000), Arrival::Waits);
    // two flows, two requests: whoever floods has had his turns
    let released: Vec<u64> = (0..7).flat_map(|_| pool.leave(id, 1)).map(|(ticket, _)| ticket).collect();
    assert!(released.contains(&5000), "{released:?}");
    assert_eq!(pool.usage(id).taken, 2);
}

#[test]
fn a_wide_request_waits_for_all_its_seats_and_is_not_passed() {
    let (mut pool, id) = alone(3, ONE_QUEUE);
    assert_eq!(pool.arrive(id, 1, 2, 'a'), Arrival::Runs(2));
    assert_eq!(pool.arrive(id, 1, 9, 'b'), Arrival::Waits);
    assert_eq!(pool.arrive(id, 1, 1, 'c'), Arrival::Waits);
    assert_eq!(pool.leave(id, 2), [('b', 3)], "all there are");
    assert_eq!(pool.leave(id, 3), [('c', 1)]);
}

#[test]
fn who_gives_up_is_let_in_no_more() {
    let (mut pool, id) = alone(2, ONE_QUEUE);
    assert_eq!(pool.arrive(id, 1, 1, 'a'), Arrival::Runs(1));
    assert_eq!(pool.arrive(id, 1, 2, 'b'), Arrival::Waits);
    assert_eq!(pool.arrive(id, 1, 1, 'c'), Arrival::Waits);
    // a wide one that gives up lets those behind it in
    assert_eq!((pool.give_up(id, 'b'), pool.give_up(id, 'b')), (Some(vec![('c', 1)]), None));
    assert_eq!((pool.leave(id, 1), pool.leave(id, 1)), (vec![], vec![]));
    assert_eq!(pool.usage(id).taken, 0);
}

#[test]
fn without_queues_there_is_a_seat_or_none() {
    let (mut pool, id) = alone(2, Response::Reject);
    assert_eq!(pool.arrive(id, 1, 2, 'a'), Arrival::Runs(2));
    assert_eq!(pool.arrive(id, 2, 1, 'b'), Arrival::NoSeat);
    pool.leave(id, 2);
    assert_eq!(pool.arrive(id, 2, 1, 'c'), Arrival::Runs(1));
}

#[test]
fn a_change_of_limits_takes_nothing_from_those_who_run() {
    let of = |shares, borrowing| level(ONE_QUEUE, (shares, 0, borrowing));
    let (mut pool, ids) = pool(10, &[of(1, Some(0)), of(0, Some(0))]);
    assert_eq!(pool.arrive(ids[0], 1, 10, 'a'), Arrival::Runs(10));
    assert_eq!(pool.arrive(ids[0], 1, 10, 'b'), Arrival::Waits);
    assert_eq!(pool.arrive(ids[1], 1, 1, 'c'), Arrival::Waits);
    // one of ten seats to the first, and nine to the second
    pool.change(ids[1], of(9, Some(0)));
    assert_eq!(pool.share_out(), [('c', 1)], "its own are its own");
    // as many are free as were given, and a wide one gets all that there are
    assert_eq!(pool.leave(ids[0], 10), [('b', 1)]);
    assert_eq!(pool.usage(ids[0]).limits, Limits { nominal: 1, lower: 1, upper: 1 });
}

#[test]
fn a_level_that_is_removed_has_its_part_until_the_last_has_gone() {
    let of = |shares| level(ONE_QUEUE, (shares, 0, Some(0)));
    let (mut pool, ids) = pool(10, &[of(1), of(1)]);
    let nominal =
        |pool: &Pool<char>| ids.clone().into_iter().map(|id| pool.usage(id).limits.nominal).sum::<u32>();
    assert_eq!(pool.arrive(ids[0], 1, 5, 'a'), Arrival::Runs(5));
    assert_eq!(pool.arrive(ids[0], 1, 5, 'b'), Arrival::Waits);
    assert_eq!(pool.arrive(ids[1], 1, 5, 'c'), Arrival::Runs(5));
    assert_eq!(pool.arrive(ids[1], 1, 5, 'd'), Arrival::Waits);
    pool.retire(ids[0]);
    assert_eq!((pool.share_out(), nominal(&pool)), (vec![], 10));
    assert_eq!(pool.leave(ids[0], 5), [('b', 5)]);
    // all ten are the other's now
    assert_eq!(pool.leave(ids[0], 5), [('d', 5)]);
    assert_eq!((pool.usage(ids[1]).limits.nominal, nominal(&pool)), (10, 10));
    assert_eq!(pool.arrive(ids[0], 1, 1, 'e'), Arrival::Gone);
    pool.retire(ids[1]);
    assert_eq!(pool.share_out(), []);
    assert_eq!((pool.leave(ids[1], 5), pool.leave(ids[1], 5)), (vec![], vec![]));
    assert_eq!(pool.arrive(ids[1], 1, 1, 'f'), Arrival::Gone);
}

/// Numbers that look random, the same ones each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn number(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(u64::from(end))).unwrap()
    }

    fn spec(&mut self) -> Spec {
        let response = match self.below(5) {
            0 => Response::Reject,
            1 => Response::Exempt,
            _ => Response::Queue(Queuing { queues: 8, hand: 2, length: 20 }),
        };
        let borrowing = (self.below(2) == 0).then(|| self.number(300));
        level(response, (self.number(20), self.number(101), borrowing))
    }
}

/// What is known of a pool from outside: whose tickets run and wait.
#[derive(Default)]
struct Model {
    running: Vec<(LevelId, u32)>,
    waiting: Vec<(LevelId, u64)>,
}

impl Model {
    fn go_on(&mut self, released: Released<u64>) -> Vec<LevelId> {
        let one = |(ticket, width): (u64, u32)| {
            let at = self.waiting.iter().position(|(_, waits)| *waits == ticket).unwrap();
            let (id, _) = self.waiting.swap_remove(at);
            self.running.push((id, width));
            id
        };
        released.into_iter().map(one).collect()
    }
}

/// Whatever comes and goes: there are never more seats taken than there are, nobody waits who could go on, who waits for its own is
/// not passed by those who borrow, and when all have left, all have been served and no seat is lost.
#[test]
fn seats_are_never_lost_nor_given_twice() {
    for seed in 1..200_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let specs: Vec<Spec> = (0..2 + dice.below(5)).map(|_| dice.spec()).collect();
        let (mut pool, ids) = pool::<u64>(20 + dice.number(100), &specs);
        let mut model = Model::default();
        for ticket in 0..500 {
            let released = match dice.below(8) {
                0..4 => {
                    let id = ids[usize::try_from(dice.below(ids.len() as u64)).unwrap()];
                    match pool.arrive(id, dice.below(20), 1 + dice.number(12), ticket) {
                        Arrival::Runs(width) => model.running.push((id, width)),
                        Arrival::Waits => model.waiting.push((id, ticket)),
                        Arrival::QueueFull | Arrival::NoSeat => {}
                        Arrival::Gone => panic!("{seed}"),
                    }
                    pool.dispatch()
                }
                4 if !model.waiting.is_empty() => {
                    let at = usize::try_from(dice.below(model.waiting.len() as u64)).unwrap();
                    let (id, gives_up) = model.waiting.swap_remove(at);
                    pool.give_up(id, gives_up).unwrap()
                }
                _ if !model.running.is_empty() => {
                    let at = usize::try_from(dice.below(model.running.len() as u64)).unwrap();
                    let (id, width) = model.running.swap_remove(at);
                    pool.leave(id, width)
                }
                _ => Vec::new(),
            };
            let went_on = model.go_on(released);
            check(&pool, &ids, &specs, &model, seed);
            if pool.is_anybody_short() {
                let is_own = |id: &LevelId| pool.usage(*id).taken <= pool.usage(*id).limits.nominal;
                assert!(went_on.iter().all(is_own), "{seed}: somebody borrows what another waits for");
            }
        }
        while let Some((id, width)) = model.running.pop() {
            let released = pool.leave(id, width);
            model.go_on(released);
        }
        let limits: Vec<Limits> = ids.iter().map(|id| pool.usage(*id).limits).collect();
        let is_lent = limits.iter().any(|limits| limits.lower < limits.nominal);
        let never = |id: LevelId| {
            let of = pool.usage(id).limits;
            of.nominal == 0 && (of.upper == 0 || !is_lent)
        };
        assert!(model.waiting.iter().all(|(id, _)| never(*id)), "{seed}: {:?}", model.waiting);
        assert!(ids.iter().all(|id| pool.usage(*id).taken == 0), "{seed}");
    }
}

fn check(pool: &Pool<u64>, ids: &[LevelId], specs: &[Spec], model: &Model, seed: u64) {
    let all: u32 = ids.iter().map(|id| pool.usage(*id).limits.nominal).sum();
    let mut held = 0;
    for (id, spec) in ids.iter().zip(specs) {
        let usage = pool.usage(*id);
        let of_level = model.running.iter().filter(|(of, _)| of == id);
        assert_eq!(usage.taken, of_level.map(|(_, width)| width).sum::<u32>(), "{seed}: seats of {id:?}");
        assert_eq!(usage.waiting, model.waiting.iter().filter(|(of, _)| of == id).count(), "{seed}");
        if spec.response == Response::Exempt {
            held += usage.limits.lower;
        } else {
            assert!(usage.taken <= usage.limits.upper, "{seed}: {usage:?}");
            held += usage.taken.max(usage.limits.lower);
        }
    }
    assert!(held <= all, "{seed}: {held} of {all} seats");
    assert!(pool.next().is_none(), "{seed}: somebody waits who could go on");
}
