"""Relax adsorbates on slabs with a tenth of the DFT calls.

The way of a structure through this package:

- a **structure** comes in (`structures`);
- a **surrogate** predicts its energy and forces (`surrogates`);
- a **query** criterion decides whether that is good enough (`queries`);
- a **parent** labels the geometry where it is not (`parents`);
- **fine-tuning** teaches the surrogate what the parent said (`finetuning`);
- **relaxation** repeats this until it may stop (`relaxation`);
- **results** turn the run into a document, store it and compare it (`results`);
- **flows** make all that jobflow jobs (`flows`), and the command line is a skin over them (`cli`).

To follow one relaxation, read ``flows/relax.py``, ``relaxation/online.py``,
``relaxation/learner.py``, ``protocols.py``, ``records.py``.

Imports point downwards only, and siblings do not see each other::

    cli → flows → (results | relaxation)
        → (finetuning | queries | surrogates | parents | structures)
        → protocols → records → (geometry | calculators) → settings → errors
"""
