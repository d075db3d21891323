"""What the invented shop sells, as data: categories with their words in English and Chinese, brands and styles."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Category:
    """A leaf category. `aspects` are what reviews speak of, `features` what descriptions promise."""

    department: str
    name: str
    price: float
    share: float
    nouns: tuple[str, ...]
    nouns_zh: tuple[str, ...]
    aspects: tuple[str, ...]
    aspects_zh: tuple[str, ...]
    features: tuple[str, ...]
    features_zh: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"{self.department} > {self.name}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split("|"))


def _category(department: str, name: str, price: float, share: float, *words: str) -> Category:
    nouns, nouns_zh, aspects, aspects_zh, features, features_zh = map(_words, words)
    return Category(
        department=department,
        name=name,
        price=price,
        share=share,
        nouns=nouns,
        nouns_zh=nouns_zh,
        aspects=aspects,
        aspects_zh=aspects_zh,
        features=features,
        features_zh=features_zh,
    )


CATEGORIES: tuple[Category, ...] = (
    _category(
        "Kitchen", "Coffee Makers", 65.0, 1.3,
        "pour-over kettle|espresso machine|coffee grinder|cold brew jug|milk frother",
        "手冲壶|意式咖啡机|磨豆机|冷萃壶|奶泡器",
        "the spout|the grind|the filter basket|the crema|the water tank|the steam wand|the drip tray|the brewing time",
        "壶嘴|研磨度|滤网|水箱|蒸汽|萃取速度",
        "brews two cups in four minutes|keeps its heat, even on a cold morning|fits filters of size \"2\" and \"4\"|"
        "burrs of hardened steel|a lid that does not drip|rinses clean in seconds",
        "四分钟冲两杯|保温时间长|钢制磨盘|好清洗",
    ),
    _category(
        "Kitchen", "Cookware", 48.0, 1.2,
        "frying pan|stock pot|casserole|wok|saucepan set",
        "平底锅|汤锅|炖锅|炒锅|奶锅套装",
        "the coating|the lid|the base|the handles|the heat distribution|the rivets|the weight of the pan|the rim",
        "涂层|锅盖|锅底|手柄|受热|锅沿",
        "works on gas, ceramic and induction|oven proof up to 220 degrees|a base of three layers|"
        "handles that stay cool|goes in the dishwasher|a rim made for pouring",
        "燃气电磁炉通用|三层锅底|手柄不烫|可进洗碗机",
    ),
    _category(
        "Kitchen", "Knives", 39.0, 0.8,
        "chef's knife|bread knife|paring knife|cleaver|knife block",
        "主厨刀|面包刀|水果刀|菜刀|刀架套装",
        "the blade|the edge|the balance|the grip|the tang|the sheath|the steel|the tip",
        "刀刃|刀柄|平衡感|钢材|刀鞘|刀尖",
        "forged from one piece of steel|an edge of 15 degrees on both sides|a full tang, riveted three times|"
        "comes with a sheath|stays sharp for months|a handle for small and large hands",
        "一体锻造|双面开刃|附刀鞘|持久锋利",
    ),
    _category(
        "Outdoors", "Tents", 145.0, 0.7,
        "dome tent|tunnel tent|tarp shelter|two-person tent|family tent",
        "圆顶帐篷|隧道帐篷|天幕|双人帐篷|家庭帐篷",
        "the zips|the poles|the groundsheet|the flysheet|the pegs|the seams|the porch|the ventilation",
        "拉链|帐杆|地布|外帐|地钉|透气性",
        "pitched by one person in six minutes|holds 3,000 mm of water|two doors, two porches|"
        "poles of light alloy|packs down to 45 cm|taped seams throughout",
        "六分钟搭好|防水三千毫米|双门双厅|轻合金帐杆",
    ),
    _category(
        "Outdoors", "Backpacks", 72.0, 1.1,
        "daypack|trekking pack|roll-top backpack|commuter backpack|hip pack",
        "双肩包|登山包|卷口背包|通勤包|腰包",
        "the straps|the hip belt|the pockets|the buckles|the back panel|the rain cover|the laptop sleeve|the stitching",
        "肩带|腰带|口袋|卡扣|背板|防雨罩",
        "a sleeve for laptops up to 15\"|a rain cover in the base|straps that adjust in four places|"
        "holds 28 litres|pockets that a gloved hand finds|a back panel that breathes",
        "电脑隔层|自带防雨罩|四向调节肩带|容量二十八升",
    ),
    _category(
        "Outdoors", "Cycling", 58.0, 1.0,
        "bike light set|gel saddle|pannier bag|floor pump|cycling helmet",
        "自行车灯|坐垫|驮包|打气筒|骑行头盔",
        "the mount|the saddle|the pressure gauge|the beam|the battery|the clips|the chin strap|the padding",
        "支架|坐垫|气压表|灯光|电池|扣具",
        "mounts without tools|seen from 300 metres, day and night|fits racks of any common width|"
        "up to 11 bar|charges in two hours|padding that can be washed",
        "免工具安装|三百米可见|两小时充满|衬垫可洗",
    ),
    _category(
        "Audio", "Headphones", 89.0, 1.5,
        "over-ear headset|earbud set|studio headset|sport headset|travel headset",
        "头戴耳机|无线耳机|监听耳机|运动耳机|耳麦",
        "the bass|the ear cushions|the noise cancelling|the microphone|the pairing|the headband|the treble|the case",
        "低音|耳罩|降噪|麦克风|蓝牙连接|头梁",
        "plays 38 hours on one charge|two devices at once|a microphone that ignores the wind|"
        "cushions that can be replaced|folds flat|a cable for planes, in the box",
        "续航三十八小时|可连两台设备|耳罩可换|可折叠",
    ),
    _category(
        "Audio", "Speakers", 110.0, 0.9,
        "bookshelf speaker|portable speaker|soundbar|shower speaker|party speaker",
        "书架音箱|便携音箱|回音壁|浴室音箱|派对音箱",
        "the mids|the volume|the low end|the remote|the bluetooth range|the grille|the stereo image|the buttons",
        "中音|音量|低频|遥控器|蓝牙距离|按键",
        "fills a room of 30 square metres|waterproof for half an hour|pairs with a second one for stereo|"
        "12 hours of music|a remote, batteries included|bass you feel, not only hear",
        "适合三十平米房间|防水|可双机立体声|播放十二小时",
    ),
    _category(
        "Audio", "Guitars", 210.0, 0.6,
        "acoustic guitar|travel guitar|electric guitar|ukulele|classical guitar",
        "民谣吉他|旅行吉他|电吉他|尤克里里|古典吉他",
        "the neck|the action|the frets|the tuners|the strings|the sustain|the finish on the body|the intonation",
        "琴颈|弦距|品丝|弦钮|琴弦|音准",
        "a top of solid spruce|frets polished by hand|comes with a padded bag|"
        "tuners with a ratio of 18:1|a neck for small hands|a warm, open tone",
        "云杉单板|手工打磨品丝|送琴包|音色温暖",
    ),
    _category(
        "Home", "Lamps", 44.0, 1.0,
        "desk lamp|floor lamp|bedside lamp|pendant lamp|string light",
        "台灯|落地灯|床头灯|吊灯|灯串",
        "the dimmer|the shade|the arm|the base of the lamp|the warm light|the cord|the switch|the bulb",
        "调光|灯罩|灯臂|底座|光线|开关",
        "dims in ten steps|light from 2,700 to 5,000 kelvin|a cord of two metres|"
        "an arm that stays where you put it|a shade of linen|uses 9 watts",
        "十档调光|冷暖光可调|亚麻灯罩|护眼不闪",
    ),
    _category(
        "Home", "Bedding", 60.0, 1.1,
        "duvet|linen sheet set|memory pillow|wool blanket|mattress topper",
        "羽绒被|亚麻床单套装|记忆枕|羊毛毯|床垫",
        "the fabric|the filling|the seams of the cover|the softness|the warmth|the colour|the size|the pillowcases",
        "面料|填充|手感|保暖性|颜色|尺寸",
        "washes at 60 degrees|filled in small squares, so nothing slips|woven from long fibres|"
        "warm in winter, airy in summer|tested for harmful substances|fits mattresses up to 30 cm",
        "可机洗|冬暖夏凉|长绒棉|不起球",
    ),
    _category(
        "Home", "Garden", 35.0, 0.8,
        "pruning saw|garden hose|raised bed|watering can|hand trowel",
        "修枝剪|花园水管|种植箱|洒水壶|小铲子",
        "the nozzle|the spring|the hose connectors|the soil depth|the blades|the rust protection|the boards|the flow",
        "喷头|弹簧|接头|刀片|防锈|出水",
        "cuts branches up to 22 mm|does not kink, it says so and means it|boards of larch, untreated|"
        "connectors of brass|hangs flat on the wall|made to be repaired",
        "可剪二十二毫米|不打折|黄铜接头|防锈处理",
    ),
)  # fmt: skip

STYLES = ("minimal", "rustic", "bold", "vintage", "compact", "premium", "playful", "rugged")
STYLES_ZH = ("极简", "田园", "醒目", "复古", "小巧", "高端", "趣味", "硬派")
STYLE_SENTENCES = (
    "Clean lines and nothing that is not needed.",
    "Looks as if it had always stood in a farmhouse.",
    "A loud colour, for people who like to be seen.",
    "Drawn after a model of the fifties, down to the screws.",
    "Small enough for a shelf, a pocket or a tiny flat.",
    "Fine materials & a finish that one notices.",
    "Made to bring a smile: no two colours match.",
    "Built for mud, rain and rough hands.",
)
STYLE_SENTENCES_ZH = (
    "线条干净，没有多余的东西。", "乡村风格，自然朴素。", "颜色大胆，一眼就能看到。", "五十年代的样子，细节讲究。",
    "小巧，不占地方。", "用料讲究，做工精细。", "五彩缤纷，让人开心。", "不怕泥水，结实耐用。",
)  # fmt: skip

BRANDS = _words(
    "Ovrellin|Brastomi|Quelvane|Drumossa|Fenwarro|Gildeska|Hobranti|Istolmar|Jorvanta|Keldrume|Lomvasti|Mirrowen|"
    "Nastelva|Olbremi|Pravonda|Rostelka|Selmurga|Tavrindo|Ulmessa|Vandrelli|Wexmoran|Yelvora|Zantrosk|Abrunelle|"
    "Corvastin|Delquora|Embroska|Grenvotti|Haldurni|Ivrastel|Kastreno|Lundrovo|Mavolter|Nurvessa|Orbinskel|Pelgrosta"
)
