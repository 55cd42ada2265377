"""References to paste: the papers behind what a page tells, as they are cited in the docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["REFERENCES", "cite", "paste"]

REFERENCES = {
    "egemaps": "Eyben F et al. The Geneva Minimalistic Acoustic Parameter Set (GeMAPS). IEEE Trans Affect Comput "
    "2016;7:190-202. doi:10.1109/TAFFC.2015.2457417",
    "compare": "Schuller B et al. The INTERSPEECH 2016 Computational Paralinguistics Challenge. Interspeech 2016. "
    "doi:10.21437/Interspeech.2016-129",
    "opensmile": "Eyben F, Wöllmer M, Schuller B. openSMILE. ACM Multimedia 2010. doi:10.1145/1873951.1874246",
    "pitch": "Boersma P. Accurate short-term analysis of the fundamental frequency. IFA Proceedings 1993;17:97-110",
    "jitter": "Boersma P. Should jitter be measured by peak picking or by waveform matching? Folia Phoniatr Logop "
    "2009;61:305-308. doi:10.1159/000245159",
    "syllables": "de Jong NH, Wempe T. Praat script to detect syllable nuclei and measure speech rate automatically. "
    "Behav Res Methods 2009;41:385-390. doi:10.3758/BRM.41.2.385",
    "mfcc": "Davis S, Mermelstein P. Comparison of parametric representations for monosyllabic word recognition. "
    "IEEE Trans Acoust 1980;28:357-366. doi:10.1109/TASSP.1980.1163420",
    "wav2vec2": "Baevski A et al. wav2vec 2.0. NeurIPS 2020. arXiv:2006.11477",
    "hubert": "Hsu W-N et al. HuBERT. IEEE/ACM TASLP 2021;29:3451-3460. doi:10.1109/TASLP.2021.3122291",
    "whisper": "Radford A et al. Robust speech recognition via large-scale weak supervision. ICML 2023. "
    "arXiv:2212.04356",
    "bilstm": "Al Hanai T, Ghassemi M, Glass J. Detecting depression with audio/text sequence modeling of interviews. "
    "Interspeech 2018:1716-1720. doi:10.21437/Interspeech.2018-2522",
    "temperature": "Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. ICML "
    "2017:1321-1330. arXiv:1706.04599",
    "platt": "Platt J. Probabilistic outputs for support vector machines. Advances in Large Margin Classifiers "
    "1999:61-74",
    "venn": "Vovk V, Petej I. Venn-Abers predictors. Proceedings of the 30th Conference on Uncertainty in Artificial "
    "Intelligence 2014:829-838. arXiv:1211.0025",
    "conformal": "Dunn R, Wasserman L, Ramdas A. Distribution-free prediction sets for two-layer hierarchical models. "
    "J Am Stat Assoc 2023;118:2491-2502. doi:10.1080/01621459.2022.2060112",
    "ccc": "Lin LI. A concordance correlation coefficient to evaluate reproducibility. Biometrics 1989;45:255-268. "
    "doi:10.2307/2532051",
    "failures": "Varoquaux G, Cheplygina V. Machine learning for medical imaging: methodological failures and "
    "recommendations for the future. NPJ Digit Med 2022;5:48. doi:10.1038/s41746-022-00592-y",
    "gradients": "Sundararajan M, Taly A, Yan Q. Axiomatic attribution for deep networks. ICML 2017:3319-3328. "
    "arXiv:1703.01365",
    "panel": "Cummins N, Scherer S, Krajewski J, Schnieder S, Epps J, Quatieri TF. A review of depression and suicide "
    "risk assessment using speech analysis. Speech Communication 2015;71:10-49. doi:10.1016/j.specom.2015.03.004",
    "tripod": "Collins GS et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models that "
    "use regression or machine learning methods. BMJ 2024;385:e078378. doi:10.1136/bmj-2023-078378",
    "card": "Mitchell M et al. Model cards for model reporting. FAT* 2019:220-229. doi:10.1145/3287560.3287596",
    "poisson": "Garwood F. Fiducial limits for the Poisson distribution. Biometrika 1936;28:437-442. "
    "doi:10.2307/2333958",
    "aasm": "Berry RB et al. Rules for scoring respiratory events in sleep: update of the 2007 AASM manual. "
    "J Clin Sleep Med 2012;8:597-619. doi:10.5664/jcsm.2172",
    "change": "Jacobson NS, Truax P. Clinical significance: a statistical approach to defining meaningful change in "
    "psychotherapy research. J Consult Clin Psychol 1991;59:12-19. doi:10.1037/0022-006X.59.1.12",
    "norms": "Crawford JR, Howell DC. Comparing an individual's test score against norms derived from small samples. "
    "Clin Neuropsychol 1998;12:482-486. doi:10.1076/clin.12.4.482.7241",
    "slope": "Sen PK. Estimates of the regression coefficient based on Kendall's tau. J Am Stat Assoc "
    "1968;63:1379-1389. doi:10.1080/01621459.1968.10480934",
}
"""By a short name; the tests see that each stands in a docstring or a table of the package."""


def cite(*names: str) -> str:
    """
    Cite in a sentence: ``"(Eyben 2016, Lin 1989)"``.

    Parameters
    ----------
    names : str
        Of `REFERENCES`.

    Returns
    -------
    str

    Examples
    --------
    >>> from vocalbio.report.references import cite
    >>> cite("egemaps", "ccc")
    '(Eyben 2016, Lin 1989)'
    """
    return f"({', '.join(_short(REFERENCES[name]) for name in names)})"


def _short(reference: str) -> str:
    """First author and year."""
    surname = str(re.match(r"((?:de |Al )?[^ ]+)", reference)[1])  # type: ignore[index]
    years = re.findall(r"\b(?:19|20)\d\d\b", re.split(r"\. (?:doi|arXiv):", reference)[0])
    return f"{surname} {years[-1]}"


def paste(names: Iterable[str]) -> str:
    """
    List references, a paragraph each, in order of the alphabet.

    Parameters
    ----------
    names : iterable of str
        Of `REFERENCES`; each is listed once.

    Returns
    -------
    str

    Examples
    --------
    >>> from vocalbio.report.references import paste
    >>> paste(["ccc", "ccc"]).count("Lin LI")
    1
    """
    return "\n\n".join(sorted({REFERENCES[name] for name in names}, key=str.casefold))
