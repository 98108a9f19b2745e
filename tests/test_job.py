from quantlab.job import open_job
from quantlab.recipe import Recipe


def test_the_note_says_how_many_samples_at_most_were_evaluated_on():
    job = open_job(Recipe(eval_samples=20, latency_batches=()))
    assert job.evaluation.size == 20
    assert "at most the first 20" in job.notes[0]
