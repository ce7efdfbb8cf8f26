"""Suggest names for ``names.toml``: those that the conversion to Traditional may get wrong.

One Simplified character can have several Traditional forms. In a word the dictionary
decides; in a name nobody but its owner can (周后松 became 周後松). Finding names is guessing as
well, so this never fails a check.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Final

from cccr_web.content import Content, Problem, Text
from cccr_web.content.characters import HAN
from cccr_web.content.site import NAMES
from cccr_web.languages import LANGUAGES
from cccr_web.render.segmentation import BEFORE_NAMES, TITLES
from cccr_web.render.traditional import converter, is_in_big5, simplify

# The surnames of about 99 in 100 people, and the common ones of two characters.
_SURNAMES: Final = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏窦章云苏潘葛奚范彭郎"
    "鲁韦昌马苗凤花方俞任袁柳鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于时傅皮卞齐康伍余元卜顾孟平黄"
    "和穆萧尹姚邵湛汪祁毛禹狄米贝明臧计伏成戴谈宋庞熊纪舒屈项祝董梁杜阮蓝闵席季麻强贾路娄江童颜郭"
    "梅盛林刁钟徐邱骆高夏蔡田樊胡凌霍虞万柯管卢莫房裘缪干解应宗丁宣邓郁单杭洪包左石崔吉龚程嵇邢裴陆"
    "荣翁荀羊甄曲封靳松井段富巫乌焦巴弓牧隗山谷车侯全班仰秋仲伊宫宁仇栾甘厉祖武符刘景詹束龙叶幸司黎"
    "白蒲从索赖卓屠蒙池乔闻党翟谭贡劳姬申冉桑桂牛寿通边燕冀尚农温庄晏柴阎艾容古易慎戈廖终居衡步耿满"
    "文寇广欧沃利越隆师聂冷辛饶曾沙养丰关游竺权盖益岳闫涂付肖仝佟鞠迟苑朴"
)
_LONG_SURNAMES: Final = (
    "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|司徒|令狐|端木|夏侯|南宫|独孤|宇文"
)
_NAME: Final = re.compile(rf"(?:{_LONG_SURNAMES}|[{_SURNAMES}])[{HAN}]{{1,2}}")

# What precedes and follows a name in a sentence.
_BEFORE: Final = re.compile(
    rf"(?:[^\w]|[{BEFORE_NAMES}者员]|释放|声援|营救|支持|纪念|悼念|逮捕|拘押|拘留|关押|判处|迫害|"
    r"律师|教授|作家|记者|学者|公民|村民|牧师|诗人|农民|工人|学生|教师|医生|画家|导演|人士|名叫|叫做|妻子|丈夫|"
    r"儿子|女儿|父亲|母亲|成员|编辑|主编)$"
)
_LONGEST_BEFORE: Final = 2
_AFTER: Final = re.compile(
    rf"(?:$|[^\w]|[和与及在被因于曾已将从向对说是的等也还又就][^，。]|{TITLES}|主席|会长|出生|获释|被捕|去世|表示|发表|宣布)"
)
# Common words that begin with a surname.
_WORDS: Final = re.compile(
    "于是|于此|关于|关系|关注|关心|关押|时候|时间|时期|后来|余下|干部|干涉|干预|任何|任意|任期|万一|常常|"
    "平台|平反|平等|平民|严重|单位|单独|应该|应当|王后|周围|周年|周末|支持|都会|方面|方法|何况|何时|成为|成立|"
    "成员|成千|高价|强制|强迫|安全|和平|温和|易于|程序|党委|党员|文件|文章|文字|广场|广大|利用|利益|权利|权力|"
    "明确|明年|全国|全部|全体|解放|解除|解决|计划|计算|从此|从事|从前|通过|通知|终于|白天|古代|农民|农村|"
    "满足|华人|华语|乐于|安排|项目|管理|包括|左右|石油|封锁|班级|山区|车站|富有|曲折|金钱|花钱|马上|方向|"
    "江河|路过|路上|高等|高度|田地|黄河|舒适|谈判|祝愿|向来|东方|南方|游行|游客|居民|容易|边境|养老|师生"
)


def name_suggestions(content: Content) -> list[Problem]:
    """Return a suggestion for each likely name that is not listed and can be converted wrongly."""
    convert = converter(content.names)
    listed = re.compile("|".join(map(re.escape, sorted(content.names, key=len, reverse=True))))
    sources = {language.source for language in LANGUAGES if language.source is not None}
    found: dict[str, Problem] = {}
    for language in sources:
        for text in content.texts[language].values():
            for line, name in _names(text, listed):
                message = (
                    f"If “{name}” is a name: it will be “{convert(name)}” in Traditional, which "
                    f"is a guess. Add it to {NAMES}."
                )
                found.setdefault(name, Problem(text.file, line, message))
    return sorted(found.values())


def _names(text: Text, listed: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    for passage in text.body.passages:
        # Chinese has no blank at the end of a line, and a name can continue on the next.
        ends = [*itertools.accumulate(map(len, passage.words.split("\n")))]
        words = passage.words.replace("\n", "")
        # Treat a listed name as a gap: its neighbours may be names, too.
        rest = listed.sub(lambda name: "、" * len(name[0]), words)
        for start, name in _in_sentence(rest):
            yield passage.line + bisect.bisect_right(ends, start), name


def _in_sentence(words: str) -> Iterator[tuple[int, str]]:
    """Yield each likely name, and where it starts."""
    at = 0
    while (found := _NAME.search(words, at)) is not None:
        at = found.start() + 1
        start = found.start()
        before = words[max(start - _LONGEST_BEFORE, 0) : start]
        if (before and not _BEFORE.search(before)) or words[start - 1 : start + 1] == "和平":
            continue
        # The longer reading first.
        for end in (found.end(), found.end() - 1):
            name = words[start:end]
            if _is_guess(name) and _AFTER.match(words, end):
                yield start, name
                at = end
                break


def _is_guess(name: str) -> bool:
    """Whether a part of ``name`` has several Traditional forms, and it is no common word."""
    if len(name) < 2 or _WORDS.match(name) or (len(name) > 2 and _WORDS.search(name[1:])):
        return False
    return not _ambiguous().isdisjoint(name)


@cache
def _ambiguous() -> frozenset[str]:
    """Return the Simplified characters that have several Traditional forms."""
    characters = [chr(code) for code in range(0x4E00, 0xA000) if is_in_big5(chr(code))]
    forms: dict[str, set[str]] = defaultdict(set)
    for traditional, simple in zip(
        characters, simplify("\n".join(characters)).split("\n"), strict=True
    ):
        forms[simple].add(traditional)
    return frozenset(simple for simple, several in forms.items() if len(several) > 1)
