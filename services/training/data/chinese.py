"""Turns Unicode's Chinese labels into noun phrases, `男人: 红发` into 红发男人, and finds the measure word."""

from __future__ import annotations

import re

_DOING = {
    "frowning": "皱眉", "pouting": "撅嘴", "gesturing no": "用手臂比叉", "gesturing ok": "用手臂比圈",
    "tipping hand": "摊手示意", "raising hand": "举手", "bowing": "鞠躬", "facepalming": "捂脸", "shrugging": "耸肩",
    "getting massage": "接受按摩", "getting haircut": "理发", "walking": "走路", "standing": "站立", "kneeling": "跪着",
    "running": "跑步", "dancing": "跳舞", "with white cane": "拄盲杖", "in motorized wheelchair": "坐电动轮椅",
    "in manual wheelchair": "坐手动轮椅", "with bunny ears": "戴兔耳朵", "in steamy room": "蒸桑拿", "climbing": "攀岩",
    "golfing": "打高尔夫", "surfing": "冲浪", "rowing boat": "划船", "swimming": "游泳", "bouncing ball": "拍球",
    "lifting weights": "举重", "biking": "骑自行车", "mountain biking": "骑山地车", "cartwheeling": "侧手翻",
    "wrestling": "摔跤", "playing water polo": "打水球", "playing handball": "打手球", "juggling": "玩抛接杂耍",
    "fencing": "击剑", "in suit levitating": "穿西装悬浮", "in lotus position": "盘腿打坐", "taking bath": "洗澡",
    "in bed": "躺在床上", "wearing turban": "戴头巾", "with skullcap": "戴瓜皮帽", "in tuxedo": "穿燕尾服",
    "with veil": "戴头纱", "with crown": "戴王冠", "feeding baby": "给宝宝喂奶", "with headscarf": "戴头纱巾",
    "with red hair": "红头发", "with curly hair": "卷头发", "with white hair": "白头发", "with blond hair": "金头发",
    "with a beard": "留胡子",
}  # fmt: skip
"""What English people do, wear or have after `person`, `man` or `woman`, as what stands before 的人."""

_WHO = {"person": "人", "man": "男人", "woman": "女人", "people": "两个人", "men": "两个男人", "women": "两个女人"}
_MEMBERS = {
    "man": "男人", "woman": "女人", "boy": "男孩", "girl": "女孩", "adult": "大人", "child": "孩子",
    "men": "男人", "women": "女人", "boys": "男孩", "girls": "女孩", "adults": "大人", "children": "孩子",
}  # fmt: skip
_NUMBERS = {"a": "一个", "an": "一个", "two": "两个"}

_BY_ENDING = (
    ("消防车 救护车 警车 出租车 卡车 货车 公交车 自行车 摩托车 赛车 轿车 汽车 滑板车 小巴 电车 轮椅 购物车", "辆"),
    ("火车 列车 地铁 轻轨 缆车", "列"), ("船 轮 艇 木舟", "艘"), ("飞机 直升机", "架"), ("火箭", "枚"),
    ("鱼 蛇 龙 围巾 裙 裤 毛巾 铁轨 公路 项链 链 丝带 领带 蠕虫 毛毛虫", "条"), ("花 云 玫瑰 莲花", "朵"),
    ("树 松 草 幼苗 植物", "棵"), ("山 火山 塔 桥 城堡 教堂 寺庙 神社 清真寺 宫 碑 像 雕像 房 楼 工厂", "座"),
    ("店 银行 医院 酒店 邮局 商场 餐厅", "家"), ("所 学校 小屋 别墅", "所"),
    ("笔 香烟 牙刷 口红 试管 牙膏 小号 长号 长笛 萨克斯管 温度计", "支"),
    ("刀 伞 锁 钥匙 椅子 尺 剑 斧头 锤子 钳 铲 扫帚 梯子 吉他 小提琴 班卓琴 锯 扇 剃须刀 扳手 匕首 螺丝刀 铁镐", "把"),
    ("书 本 笔记本 账本", "本"), ("纸 地图 票 卡 相片 照片 唱片 光盘 软盘 身份证 床 嘴 书签", "张"),
    ("衣 外套 大褂 和服 背心 毛衣 女装 纱丽 练武服", "件"), ("鞋 靴 凉鞋 手套 袜子 筷子 滑雪板", "双"),
    ("帽 头盔 皇冠 帐篷", "顶"), ("眼镜 墨镜 护目镜", "副"), ("报纸 文件", "份"),
    ("香蕉 蜡烛 胡萝卜 黄瓜 骨头 羽毛 针 手杖 盲杖 拐杖 魔棒", "根"),
    ("心 星星 牙齿 炸弹 宝石 珠 星球 行星 葡萄 樱桃 草莓 栗子 豆 药丸 彗星 流星", "颗"),
    ("电视机 电脑 相机 打印机 收音机 摄像机 显微镜 望远镜 传真机 放映机 摄影机 洗衣机 天平", "台"),
    ("手机 电话 寻呼机", "部"), ("门", "扇"), ("镜子 旗 盾牌 鼓 锣", "面"),
    ("肉 排骨 培根 面包 巧克力 皂 砖 岩石 黄油", "块"),
    ("彩虹 闪电", "道"), ("咖啡 茶 酒 奶 饮料 啤酒", "杯"), ("饭 面 汤", "碗"), ("树叶 叶 枫叶", "片"),
    ("男人 女人 男孩 女孩 的人 人", "个"),
)  # fmt: skip

_BY_SUBGROUP = {
    "animal-mammal": "只", "animal-bird": "只", "animal-amphibian": "只", "animal-reptile": "只", "animal-marine": "只",
    "animal-bug": "只", "cat-face": "只", "monkey-face": "只", "plant-flower": "朵", "plant-other": "棵",
    "person-role": "位", "heart": "颗", "transport-water": "艘",
    "hand-fingers-open": "只", "hand-fingers-partial": "只",
    "hand-single-finger": "只", "hand-fingers-closed": "只", "hand-prop": "只", "money": "张", "clothing": "件",
    "book-paper": "本", "writing": "支", "place-religious": "座", "place-building": "座", "musical-instrument": "把",
    "light-video": "台",
}  # fmt: skip
"""Where the name's ending tells nothing."""

_FACES = "脸头鬼怪人"


def chinese_name(label: str, english: str, subgroup: str) -> str:
    """A noun phrase for `label`; `english` is the name that `english_name` gave the same thing."""
    if english.startswith("family with "):
        return _family(english)
    if english.startswith("clock at "):
        return f"指着{label}的时钟"
    who, _, doing = english.partition(" ")
    doing, turned, _ = doing.partition(" facing right")
    if who in _WHO and doing in _DOING:
        return f"{'面向右边' if turned else ''}{_DOING[doing]}的{_WHO[who]}"
    if english.startswith("bald "):
        return f"秃顶的{_WHO[english.removeprefix('bald ')]}"
    if subgroup.startswith("face-") and label[-1] not in _FACES:
        return f"{label}的脸"
    return re.sub(r"[::].*| ", "", label)


def measure_word(name: str, subgroup: str) -> str:
    """The measure word by what the name ends in, else by the subgroup, else 个."""
    if subgroup.startswith("face-") and name.endswith("脸"):
        return "张"
    endings = [(ending, measure) for words, measure in _BY_ENDING for ending in words.split() if name.endswith(ending)]
    if endings and not (subgroup == "person-role" or (subgroup.startswith("animal-") and subgroup != "animal-marine")):
        return max(endings, key=lambda one: len(one[0]))[1]
    return _BY_SUBGROUP.get(subgroup, "个")


def _family(english: str) -> str:
    """`family with a man and two girls` -> 由一个男人和两个女孩组成的家庭."""
    words = [f"{_NUMBERS[number]}{_MEMBERS[one]}" for number, one in re.findall(r"\b(an?|two) (\w+)", english)]
    return f"由{'、'.join(words[:-1])}{'和' if words[1:] else ''}{words[-1]}组成的家庭"
