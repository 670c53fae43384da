"""Comparisons of whole campaigns, built from the relaxations in a store."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from ase import Atoms
from maggma.core import Builder, Store
from pydantic import ValidationError

from finetuna_flows.results.compare import ENERGY_TOLERANCE, compare
from finetuna_flows.results.completeness import REFERENCES, sentence, with_missing_parts
from finetuna_flows.results.documents import SCHEMA_VERSION, ComparisonDoc, RelaxationDoc
from finetuna_flows.results.portable import geometry_of
from finetuna_flows.results.systems import group_by_start
from finetuna_flows.structures.fingerprint import start_key

logger = logging.getLogger(__name__)

EVERYTHING = "all relaxations"
"""Name of the comparisons that no query narrows down."""
RULES = 1
"""Of judging; raised when one of them changes, so that what was judged before is judged anew."""
OF_A_FAMILY = ("formula_pretty", "nsites")
"""Fields by which relaxations that may be of one system are found."""
LOOKED_UP = ("uuid", "name", "reference_method", "energy_tolerance", "rules")
"""Paths of the target that a builder finds its comparisons by."""
REMEMBERED = ("family", "sources")
"""Paths of the target that tell what a comparison was made from."""
Family = tuple[object, ...]
Source = tuple[str, str]
"""Uuid of a relaxation and when it was last changed."""


class _Built(NamedTuple):
    """A comparison that is in the target already."""

    family: Family
    sources: frozenset[Source]


class ComparisonBuilder(Builder):
    """Make one `ComparisonDoc` for each system: all relaxations that started from one geometry.

    Methods are told apart by `RelaxationDoc.name`. Of several relaxations of one system by one
    method the newest counts that is no mere replay, and the row says how many others there are. A
    system without the reference has its comparison too, which says so.

    Only what changed is built: the target remembers for each comparison which relaxations, as of
    when, and by which rules it was made from. A build that was interrupted goes on where it was. A
    comparison whose relaxations are gone goes too. Whatever processes work on it, `process_item`
    touches no store.

    Parameters
    ----------
    source
        Holds what jobs returned: the ``docs_store`` of a JobStore, or one itself.
    target
        Keeps the comparisons, by ``uuid``; several builders may share one.
    reference
        Name of the method that the others are measured against.
    query
        Narrows the relaxations down, as the source's own ``query`` takes it.
    scope
        Name of the comparisons; builders with other queries need other names.
    energy_tolerance
        eV above the reference that still counts as success.
    chunk_size
        Systems that are held in memory and written at once.
    data
        The additional store of trajectories and ledgers: relaxations of which one is missing are
        left out until they are complete. None: they are not looked for.
    """

    def __init__(
        self,
        source: Store,
        target: Store,
        reference: str,
        query: dict[str, Any] | None = None,
        scope: str = EVERYTHING,
        energy_tolerance: float = ENERGY_TOLERANCE,
        chunk_size: int = 100,
        data: Store | None = None,
    ) -> None:
        if query and scope == EVERYTHING:
            raise ValueError(
                f"`query` is {query} but `scope` is {scope!r}; give comparisons of a part of the "
                "relaxations a name of their own"
            )
        self.source = source
        self.target = target
        self.reference = reference
        self.query = query
        self.scope = scope
        self.energy_tolerance = energy_tolerance
        self.data = data
        sources = [source] if data is None else [source, data]
        super().__init__(sources=sources, targets=[target], chunk_size=chunk_size)

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Systems whose relaxations are not those that their comparison was made from."""
        found = self._relaxations()
        built = self._comparisons()
        for family in sorted(_stale(found, built), key=repr):
            yield from self._systems(family, found.get(family, {}), built)

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """Compare the relaxations of one system."""
        newest: dict[str, RelaxationDoc] = {}
        count: Counter[str] = Counter()
        for output in item["relaxations"]:
            doc = _validated(output)
            if doc is not None:
                count[doc.name] += 1
                if doc.name not in newest or not _is_replay(doc):
                    newest[doc.name] = doc  # they come oldest first
        made = compare(
            newest, self.reference, name=self.scope, energy_tolerance=self.energy_tolerance
        )
        rows = tuple(
            row.model_copy(update={"repeats": max(0, count[row.method] - 1)}) for row in made.rows
        )
        comparison = made.model_copy(
            update={"uuid": item["uuid"], "system_key": item["system_key"], "rows": rows}
        )
        return {
            **comparison.model_dump(mode="json"),
            "last_updated": comparison.last_updated,
            "rules": self._mine["rules"],
            "family": item["family"],
            "sources": item["sources"],
        }

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Write comparisons, in the place of older ones."""
        if items:
            self.target.update(items, key="uuid")

    def built(self) -> list[ComparisonDoc]:
        """What the target holds of this builder's, sorted by what the systems are called."""
        docs = [
            ComparisonDoc.model_validate(
                {name: entry[name] for name in ComparisonDoc.model_fields if name in entry}
            )
            for entry in self.target.query(self._mine)
        ]
        return sorted(docs, key=lambda doc: (doc.system or "", doc.formula_pretty or "", doc.uuid))

    @property
    def _mine(self) -> dict[str, Any]:
        return {
            "name": self.scope,
            "reference_method": self.reference,
            "energy_tolerance": self.energy_tolerance,
            "rules": f"{SCHEMA_VERSION}.{RULES}",
        }

    @property
    def _criteria(self) -> dict[str, Any]:
        return {"output.@class": RelaxationDoc.__name__, **(self.query or {})}

    def _relaxations(self) -> dict[Family, dict[str, Source]]:
        """All relaxations, family by family; nothing large is loaded."""
        fields = ["uuid", "last_updated", *OF_A_FAMILY]
        wanted = [*(f"output.{field}" for field in fields), *REFERENCES]
        found: dict[Family, dict[str, Source]] = defaultdict(dict)
        outputs = (each["output"] for each in self.source.query(self._criteria, properties=wanted))
        for output in outputs if self.data is None else self._complete(outputs, self.data):
            source = (output["uuid"], str(output["last_updated"]))
            found[tuple(output.get(key) for key in OF_A_FAMILY)][output["uuid"]] = source
        return found

    @staticmethod
    def _complete(outputs: Iterator[dict[str, Any]], data: Store) -> Iterator[dict[str, Any]]:
        for output, missing in with_missing_parts(outputs, data):
            if missing:
                logger.warning("%s is not compared: its %s", output["uuid"], sentence(missing))
            else:
                yield output

    def _comparisons(self) -> dict[str, _Built]:
        wanted = ["uuid", *REMEMBERED]
        return {
            entry["uuid"]: _Built(
                tuple(entry["family"]), frozenset(tuple(each) for each in entry["sources"])
            )
            for entry in self.target.query(self._mine, properties=wanted)
        }

    def _systems(
        self, family: Family, found: Mapping[str, Source], built: Mapping[str, _Built]
    ) -> Iterator[dict[str, Any]]:
        """Systems of one family that are to be built; comparisons of systems that are gone go."""
        groups = self._groups(family, found)
        gone = [
            uuid for uuid, each in built.items() if each.family == family and uuid not in groups
        ]
        if gone:
            self.target.remove_docs({"uuid": {"$in": gone}})
        for uuid, (key, members) in groups.items():
            sources = [found[member] for member in members if member in found]
            if uuid in built and built[uuid].sources == frozenset(sources):
                continue
            yield {
                "uuid": uuid,
                "system_key": key,
                "family": list(family),
                "sources": [list(source) for source in sources],
                "relaxations": self._outputs(members),
            }

    def _groups(
        self, family: Family, found: Mapping[str, Source]
    ) -> dict[str, tuple[str, list[str]]]:
        """Uuid of each comparison, with the key of its system and its relaxations, oldest first."""
        starts: dict[str, Atoms] = {}
        same_family = {
            f"output.{name}": value for name, value in zip(OF_A_FAMILY, family, strict=True)
        }
        wanted = ["uuid", "completed_at", "initial_structure"]
        outputs = [
            entry["output"]
            for entry in self.source.query(
                {**self._criteria, **same_family},
                properties=[f"output.{field}" for field in wanted],
                sort={"output.completed_at": 1},
            )
        ]
        for _, at_once in groupby(outputs, key=itemgetter("completed_at")):
            for output in sorted(at_once, key=itemgetter("uuid")):  # a store orders them by chance
                if output["uuid"] in found:
                    starts[output["uuid"]] = geometry_of(output["initial_structure"])
        groups = {}
        for members in group_by_start(starts.items()):
            key = start_key(starts[members[0]])
            groups[self._uuid(key)] = (key, members)
        return groups

    def _uuid(self, key: str) -> str:
        words = (self.scope, self.reference, f"{self.energy_tolerance:g}", key)
        return str(uuid5(NAMESPACE_OID, "/".join(words)))

    def _outputs(self, members: Sequence[str]) -> list[dict[str, Any]]:
        """Whole documents but for what lies in additional stores, in the order of `members`."""
        criteria = {"output.uuid": {"$in": list(members)}}
        found = {
            entry["output"]["uuid"]: entry["output"]
            for entry in self.source.query(criteria, properties=["output"])
        }
        return [found[member] for member in members if member in found]


def _stale(
    found: Mapping[Family, Mapping[str, Source]], built: Mapping[str, _Built]
) -> set[Family]:
    """Families in which a relaxation came, changed or went since their comparisons were built."""
    seen: dict[Family, set[Source]] = defaultdict(set)
    for comparison in built.values():
        seen[comparison.family] |= comparison.sources
    now = {family: set(sources.values()) for family, sources in found.items()}
    families = now.keys() | seen.keys()
    return {each for each in families if now.get(each, set()) != seen.get(each, set())}


def _is_replay(doc: RelaxationDoc) -> bool:
    """Whether a finished run was only read again, which tells less of its times than it did."""
    return doc.parent_calls > 0 and doc.replayed_calls == doc.parent_calls


def _validated(output: Mapping[str, Any]) -> RelaxationDoc | None:
    """The document; None if it is none of this version's, which the log tells."""
    try:
        return RelaxationDoc.model_validate(
            {name: value for name, value in output.items() if not name.startswith("@")}
        )
    except ValidationError as error:
        logger.warning(
            "%s is left out of its comparison, because it cannot be read: %s",
            output.get("uuid"),
            error,
        )
        return None
