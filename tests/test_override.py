from lightning_critperiod.lightning_seam.override import Overrides


class Thing:
    def name(self):
        return "of the class"


def test_an_override_is_gone_after_undo_and_the_class_was_never_touched():
    thing, overrides = Thing(), Overrides()
    overrides.put(thing, "name", lambda: "ours")
    assert thing.name() == "ours"
    assert Thing().name() == "of the class"
    overrides.undo()
    assert thing.name() == "of the class"
    assert vars(thing) == {}


def test_what_an_instance_had_of_its_own_is_put_back_whatever_was_put_over_it():
    thing, overrides = Thing(), Overrides()
    thing.name = "its own"
    overrides.put(thing, "name", "first")
    overrides.put(thing, "name", "second")
    overrides.undo()
    assert thing.name == "its own"


def test_undoing_twice_does_nothing_more():
    thing, overrides = Thing(), Overrides()
    overrides.put(thing, "name", "ours")
    overrides.undo()
    thing.name = "set later"
    overrides.undo()
    assert thing.name == "set later"


def test_two_owners_may_be_undone_in_any_order():
    for order in ((0, 1), (1, 0)):
        thing, owners = Thing(), (Overrides(), Overrides())
        thing.name = "its own"
        for number, owner in enumerate(owners):
            owner.put(thing, "name", number)
        owners[order[0]].undo()
        assert thing.name == order[1]
        owners[order[1]].undo()
        assert thing.name == "its own"
